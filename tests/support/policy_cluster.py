"""A real cluster of several groups, whose services fail for real: the file they need is missing, or
one that makes them sick is there. What operators do is done by the command line.
"""

import json
import os
import re
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holdfast.console.demo.processes import run
from holdfast.wire import GroupStatus, StatusReply
from tests.support.cluster import GROUP as LEDGER
from tests.support.cluster import SETTLE, RunningCluster
from tests.support.follower import event

COMMAND_WITHIN = 90.0
_GROUP = """
[groups.{name}]
nodes = {nodes}
{keys}
[groups.{name}.resources.run]
kind = "process"
command = ["/bin/sh", "-c", 'sleep 1; test ! -e "$0" && exec sleep infinity', "{sick}"]
checks = [{{ kind = "process" }}]
recovery = {{ attempts = {attempts}, window = 300 }}
"""
_NEEDS = (
    """command = ["/bin/sh", "-c", 'test ! -e "$0" && exec "$@"', "{folder}/broken-{{node}}", """
)
QUIET = """
[monitor] # the load of this machine must not choose between its hosts
pressure_degraded = 1000
load_per_core_degraded = 10000
memory_available_degraded = 0.001
disk_free_degraded = 0.001
"""


@dataclass(frozen=True)
class Policy:
    """A group of one small process: its name, its nodes, and the keys that say what it asks for."""

    name: str
    nodes: Sequence[str]
    keys: Sequence[str] = field(default_factory=tuple)
    attempts: int = 3


class PolicyCluster(RunningCluster):
    """The ledger, and these groups beside it. `places`: keys of hosts and of `[cluster]`, by the
    line after which they stand; `also`: what else is changed in the file.
    """

    def __init__(
        self,
        folder: Path,
        *groups: Policy,
        places: dict[str, str] | None = None,
        also: Callable[[str], str] = str,
    ) -> None:
        self.folder = folder

        def edit(text: str) -> str:
            needs = _NEEDS.format(folder=folder)
            text = re.sub(r"command = \[(?=.*holdfast\.ledger)", needs, text)
            for after, keys in (places or {}).items():
                assert f"{after}\n" in text, after
                text = text.replace(f"{after}\n", f"{after}\n{keys}\n")
            return also(text)

        tables = [
            _GROUP.format(
                name=group.name,
                nodes=json.dumps(list(group.nodes)),
                keys="\n".join(group.keys),
                sick=self.sick(group.name),
                attempts=group.attempts,
            )
            for group in groups
        ]
        super().__init__(folder, extra="".join([*tables, QUIET]), edit=edit)

    def broken(self, node: str) -> Path:
        """While it exists, the ledger cannot start on that node."""
        return self.folder / f"broken-{node}"

    def sick(self, group: str) -> Path:
        """While it exists, the group's process ends a second after it was started."""
        return self.folder / f"sick-{group}"

    async def command(self, *arguments: str) -> tuple[int, Any]:
        """`holdfast ... --json`: its exit code, and what it printed."""
        code, said = await run(self.holdfast(*arguments, "--json"), timeout=COMMAND_WITHIN)
        return code, json.loads(said.splitlines()[-1])

    async def group(self) -> GroupStatus:
        """The ledger's state."""
        return await self.of(LEDGER)

    async def of(self, group: str) -> GroupStatus:
        """One group as its leader sees it, once that has seen the record."""
        status = await self.status_where(
            lambda status: any(one.group == group and one.epoch for one in status.groups),
            f"the record of {group}",
        )
        return _one(status, group)

    async def runs(self, timeout: float = SETTLE, **homes: str) -> StatusReply:
        """These groups run on these nodes, and their hands say so."""

        def there(status: StatusReply) -> bool:
            return all(
                (one.owner, one.phase, one.reported) == (homes[one.group], "active", "active")
                for one in status.groups
                if one.group in homes
            )

        return await self.status_where(there, f"they run: {homes}", timeout=timeout)

    async def all_run(self, host: str, *groups: str) -> StatusReply:
        """These groups run on this host."""
        homes = dict.fromkeys(groups, host)
        return await self.runs(SETTLE, **homes)

    async def is_held(self, group: str, *, because: str, timeout: float = SETTLE) -> str:
        """It stays down, nobody owns it, and this pattern is in the reason; returns that."""

        def held(status: StatusReply) -> bool:
            one = _one(status, group)
            down = one.phase == "held" and one.owner is None
            return down and re.search(because, one.reason) is not None

        what = f"{group} is held because of {because}"
        return _one(await self.status_where(held, what, timeout=timeout), group).reason

    def process_of(self, group: str) -> int:
        """The process of a group of this file's, as its latest start says."""
        started = event("resource_started", group=group, resource="run")
        last = [seen for seen in self.follower.seen if started(seen)][-1]
        return int(last.data["instance"].split(":")[0])

    def kill_process_of(self, group: str) -> None:
        """SIGKILL, as the kernel does when memory is out."""
        os.kill(self.process_of(group), signal.SIGKILL)

    def decided(self, group: str, since: str) -> list[tuple[str, str | None, str | None]]:
        """Every decision about a group: rule, source and target, in order."""
        made = event("decision_made", group=group)
        seen = sorted(
            (one for one in self.follower.since(since) if made(one)),
            key=lambda one: one.envelope.time,
        )
        return [(one.data["rule"], one.data["source"], one.data["target"]) for one in seen]


def _one(status: StatusReply, group: str) -> GroupStatus:
    return next(one for one in status.groups if one.group == group)
