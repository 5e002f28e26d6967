"""Steps that recur in the example story: a start and a stop on a node, from order to proof."""

from holdfast.events.envelope import Envelope
from holdfast.events.example_recorder import Recorder
from holdfast.events.hands import (
    GroupStarted,
    GroupStopped,
    GroupVerified,
    OrderAccepted,
    OrderRefused,
    ResourceStarted,
    ResourceStopped,
)
from holdfast.events.ownership import MoveCompleted, MoveKind, OrderSent, OwnershipChanged
from holdfast.events.storage import VolumeActivated, VolumeReleased

ALPHA_1 = "b2f0c1de-8f7a-4a57-9f43-6f0c5f3f7a01.1021"
ALPHA_2 = "4be1a0c7-19c5-4d0e-8a3c-0c7d2f6b9e02.998"
BETA_1 = "77d90e1c-5a0b-4b46-b3f1-9d2f8f4f1c03.1003"
DECIDER = "failover_decider"


def intent(number: int) -> str:
    """The id of the story's nth intent."""
    return f"019bc0de-0000-7000-8000-{number:012d}"


class Steps:
    """Records the events of whole starts and stops of `ledger`."""

    def __init__(self, record: Recorder) -> None:
        self._record = record
        self._revision = 0

    def start(
        self, leader: str, node: str, decision: Envelope, *, epoch: int, phases: dict[str, float]
    ) -> Envelope:
        """From the decision to `move_completed`, which is returned."""
        record = self._record
        owner = "alpha" if epoch > 1 else None
        stored = self._own(leader, decision, node, owner, "starting", epoch)
        sent = self._send(leader, node, stored, "start", epoch)
        accepted = self._accept(node, sent, "start", epoch)
        record.wait(0.04)
        active = record(
            node,
            "storage_replication",
            VolumeActivated(
                volume="ledger-data", node=node, epoch=epoch, driver="directory", took=0.04
            ),
            accepted,
        )
        record.wait(0.3)
        running = record(
            node,
            "recovery",
            ResourceStarted(
                group="ledger",
                resource="server",
                node=node,
                epoch=epoch,
                instance="611:52100",
                took=0.3,
            ),
            active,
        )
        started = record(
            node,
            "recovery",
            GroupStarted(group="ledger", node=node, epoch=epoch, took=0.35),
            running,
        )
        record.wait(0.05)
        verified = record(
            node,
            "recovery",
            GroupVerified(group="ledger", node=node, epoch=epoch, checks=2, took=0.05),
            started,
        )
        done = self._own(leader, verified, node, node, "active", epoch)
        phases = {**phases, "start": 0.35, "verify": 0.05}
        return record(
            leader,
            DECIDER,
            MoveCompleted(
                group="ledger",
                kind=MoveKind.START if epoch == 1 else MoveKind.FAILOVER,
                intent=intent(epoch),
                node=node,
                epoch=epoch,
                total=round(sum(phases.values()), 3),
                phases=phases,
            ),
            done,
        )

    def stop(self, leader: str, node: str, decision: Envelope, *, epoch: int) -> Envelope:
        """From the decision to `group_stopped`, which is returned."""
        record = self._record
        stored = self._own(leader, decision, node, node, "stopping", epoch)
        sent = self._send(leader, node, stored, "stop", epoch)
        accepted = self._accept(node, sent, "stop", epoch)
        record.wait(0.1)
        gone = record(
            node,
            "recovery",
            ResourceStopped(
                group="ledger", resource="server", node=node, epoch=epoch, took=0.1, killed=True
            ),
            accepted,
        )
        released = record(
            node,
            "storage_replication",
            VolumeReleased(volume="ledger-data", node=node, epoch=epoch),
            gone,
        )
        return record(
            node,
            "recovery",
            GroupStopped(group="ledger", node=node, epoch=epoch, took=0.12),
            released,
        )

    def refused(self, leader: str, node: str, cause: Envelope, *, epoch: int) -> Envelope:
        """An order to start that the node refuses; the refusal is returned."""
        stored = self._own(leader, cause, node, "beta", "starting", epoch)
        sent = self._send(leader, node, stored, "start", epoch)
        return self._record(
            node,
            "recovery",
            OrderRefused(
                group="ledger",
                node=node,
                action="start",
                epoch=epoch,
                intent=intent(epoch),
                reason="this node holds no lease",
            ),
            sent,
        )

    def _own(
        self,
        leader: str,
        cause: Envelope,
        owner: str,
        previous: str | None,
        phase: str,
        epoch: int,
    ) -> Envelope:
        self._revision += 1
        change = OwnershipChanged(
            group="ledger",
            epoch=epoch,
            owner=owner,
            previous_owner=previous,
            phase=phase,
            revision=self._revision,
        )
        return self._record(leader, DECIDER, change, cause)

    def _send(self, leader: str, node: str, cause: Envelope, action: str, epoch: int) -> Envelope:
        order = OrderSent(
            group="ledger", node=node, action=action, epoch=epoch, intent=intent(epoch)
        )
        return self._record(leader, DECIDER, order, cause)

    def _accept(self, node: str, cause: Envelope, action: str, epoch: int) -> Envelope:
        accepted = OrderAccepted(
            group="ledger", node=node, action=action, epoch=epoch, intent=intent(epoch)
        )
        return self._record(node, "recovery", accepted, cause)
