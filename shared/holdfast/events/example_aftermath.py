"""The second half of the example story: alpha returns, and at last a broken disk."""

from holdfast.events.envelope import Envelope
from holdfast.events.example_parts import heard, notified, process_failed, recovery, voters_unheard
from holdfast.events.example_recorder import Recorder
from holdfast.events.example_steps import (
    ALPHA_1,
    ALPHA_2,
    Steps,
    intent,
)
from holdfast.events.hands import (
    LeaseLost,
    RecoveryExhausted,
    ResourceFailed,
)
from holdfast.events.health import NodeSeen
from holdfast.events.ownership import (
    Alternative,
    DecisionMade,
    GroupHeld,
    LeaderElected,
    LeaderLost,
    MoveFailed,
    MoveKind,
)
from holdfast.events.policies import (
    MaintenanceBegan,
    MaintenanceEnded,
    QuarantineBegan,
    QuarantineEnded,
    Scope,
)
from holdfast.events.storage import VolumeRefused
from holdfast.events.system import (
    MessageRejected,
    OperatorRequest,
    SpoolSetAside,
)

DECIDER = "failover_decider"
AGENT = "fence_ipmilan"


def alpha_returns(record: Recorder) -> None:
    record(
        "alpha",
        "recovery",
        SpoolSetAside(
            service="recovery",
            place="alpha",
            file="spool-000001.damaged",
            reason="line 12 is cut short",
            events_kept=11,
        ),
    )
    record(
        "beta",
        DECIDER,
        NodeSeen(node="alpha", boot=ALPHA_2, previous_boot=ALPHA_1),
        heard(record, "beta", "alpha"),
    )
    record(
        "alpha",
        "recovery",
        MessageRejected(
            message_subject="ha.commands.alpha.recovery",
            kind="stale",
            reason="order of epoch 1 for boot " + ALPHA_1,
            count=1,
        ),
    )
    request = record(
        "beta",
        DECIDER,
        OperatorRequest(operator="ana", request="lead", arguments={"place": "witness"}),
    )
    lost = record(
        "beta", DECIDER, LeaderLost(leader="beta", term=2, reason="handed over to witness"), request
    )
    record(
        "witness",
        DECIDER,
        LeaderElected(leader="witness", term=3, votes=["beta", "witness"], proof="handed over"),
        lost,
    )


def alpha_is_repaired(record: Recorder) -> None:
    """Maintenance and quarantine, from their beginning to their end."""
    arguments = {"scope": "node", "name": "alpha", "for": "7200", "reason": "new power supply"}
    request = record(
        "witness",
        DECIDER,
        OperatorRequest(operator="ana", request="maintenance on", arguments=arguments),
    )
    began = record(
        "witness",
        DECIDER,
        MaintenanceBegan(
            scope=Scope.NODE,
            name="alpha",
            operator="ana",
            reason="new power supply",
            lasts=7200.0,
        ),
        request,
    )
    record(
        "witness",
        DECIDER,
        MaintenanceEnded(scope=Scope.NODE, name="alpha", reason="its time is over"),
        began,
    )
    quarantined = record(
        "witness",
        DECIDER,
        QuarantineBegan(
            scope=Scope.NODE,
            name="alpha",
            reason="5 failures within 3600 s: lost 5 times",
            lasts=None,
        ),
        heard(record, "witness", "alpha"),
    )
    record(
        "witness",
        DECIDER,
        QuarantineEnded(scope=Scope.NODE, name="alpha", reason="ana cleared it"),
        quarantined,
    )


def disk_breaks(record: Recorder, steps: Steps) -> None:
    cut_off = record("alpha", "recovery", voters_unheard("alpha"))
    record(
        "alpha",
        "recovery",
        LeaseLost(node="alpha", boot=ALPHA_2, term=3, reason="no majority for 5.0 s"),
        cut_off,
    )
    signal = record(
        "beta", "monitor", process_failed("beta", "611:52100", "exit status 1: disk I/O error")
    )
    started = record("beta", "recovery", recovery("beta", epoch=2), signal)
    failed = record(
        "beta",
        "recovery",
        ResourceFailed(
            group="ledger",
            resource="server",
            node="beta",
            epoch=2,
            action="start",
            reason="exit status 1: disk I/O error",
        ),
        started,
    )
    exhausted = record(
        "beta",
        "recovery",
        RecoveryExhausted(
            group="ledger", resource="server", node="beta", epoch=2, reason="1 of 1 attempts failed"
        ),
        failed,
    )
    decision = record(
        "witness",
        DECIDER,
        DecisionMade(
            group="ledger",
            kind=MoveKind.RELOCATE,
            rule="recovery_exhausted",
            intent=intent(3),
            source="beta",
            target="alpha",
            epoch=3,
            evidence=[signal.id, exhausted.id],
            alternatives=[
                Alternative(choice="stay on beta", rejected_because="recovery is used up there")
            ],
        ),
        exhausted,
    )
    stopped = steps.stop("witness", "beta", decision, epoch=3)
    _held(record, steps, stopped)


def _held(record: Recorder, steps: Steps, stopped: Envelope) -> None:
    refused = steps.refused("witness", "alpha", stopped, epoch=3)
    record(
        "beta",
        "storage_replication",
        VolumeRefused(volume="ledger-data", node="beta", epoch=2, reason="epoch 3 was seen here"),
        stopped,
    )
    failed = record(
        "witness",
        DECIDER,
        MoveFailed(
            group="ledger",
            kind=MoveKind.RELOCATE,
            intent=intent(3),
            node="alpha",
            epoch=3,
            step="start",
            reason="alpha holds no lease",
        ),
        refused,
    )
    held = record(
        "witness",
        DECIDER,
        GroupHeld(group="ledger", epoch=3, reason="no node is left that can run it"),
        failed,
    )
    notified(record, held)
