"""All that the hands remember of one group. It is also the journal entry, stored as it is."""

from typing import Literal

import msgspec

Phase = Literal["stopped", "starting", "active", "stopping", "recovering", "failed", "unknown"]
Verb = Literal["start", "stop", "verify"]


class ResourceState(msgspec.Struct, frozen=True, kw_only=True):
    """One resource. Only `stopped` says that nothing of it runs; it is set by seeing so.

    `token` marks every process of this start in its environment. It is stored before the process
    exists, so a process whose pid never reached the journal is found all the same.
    """

    state: Literal["stopped", "starting", "running", "unknown"] = "unknown"
    instance: str = ""
    pid: int = 0
    token: str = ""
    starts: int = 0
    attempts: tuple[float, ...] = ()
    """When local recovery was tried, in monotonic seconds of this boot."""
    handled: str = ""
    """The last signal's event that was acted upon."""


class OrderState(msgspec.Struct, frozen=True, kw_only=True):
    """The last order taken and how it stands; the answer to each of its repetitions."""

    action: Literal["start", "stop"]
    epoch: int
    intent: str
    done: bool = False
    error: str = ""
    event: str | None = None
    lease_ended: bool = False


class Step(msgspec.Struct, frozen=True):
    """One action on one resource."""

    verb: Verb
    resource: str


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What the group is in the middle of: the steps that are left, and what they are for.

    Times are monotonic seconds. `root` is the event that began it, `last` the newest of it.
    """

    kind: Literal["start", "stop", "recover", "lease", "confirm"]
    steps: tuple[Step, ...]
    root: str
    last: str
    incident: str
    began: float
    not_before: float = 0.0
    """Back-off: no start before this time; no stop either if nobody ordered it."""
    checks: int = 0
    resource: str = ""
    attempt: int = 0
    reason: str = ""


class GroupState(msgspec.Struct, frozen=True, kw_only=True):
    """One group. `epoch` is the highest ever seen in an accepted order; it only rises."""

    group: str
    boot: str
    epoch: int = 0
    phase: Phase = "unknown"
    reason: str = ""
    event: str | None = None
    """The event that explains `phase`."""
    incident: str | None = None
    order: OrderState | None = None
    resources: dict[str, ResourceState]
    work: Work | None = None
    action: int = 0
    """Number of the action in flight; 0 if none."""
    actions: int = 0
    """How many actions were ever begun: the number of the next one is one more."""

    def resource(self, name: str) -> ResourceState:
        """What is known of a resource; `unknown` if nothing is."""
        return self.resources.get(name, ResourceState())

    def all_stopped(self) -> bool:
        """Whether each resource was seen not to run."""
        return all(r.state == "stopped" for r in self.resources.values())

    def wake_at(self) -> float | None:
        """When the core wants a Tick, in monotonic seconds."""
        waiting = self.work is not None and self.action == 0
        return self.work.not_before if waiting and self.work is not None else None


def blank(group: str, resources: tuple[str, ...]) -> GroupState:
    """A group of which nothing is known, as of no boot: it is looked at before all else."""
    return GroupState(group=group, boot="", resources={name: ResourceState() for name in resources})
