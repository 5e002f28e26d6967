"""The story the example record tells: a week in the life of a group named `ledger`.

It starts on alpha, dies and is restarted there, alpha loses power and beta takes over, alpha
returns, and at last a broken disk keeps the group down.
"""

from holdfast.events.envelope import Envelope
from holdfast.events.example_recorder import Recorder
from holdfast.events.example_steps import (
    ALPHA_1,
    ALPHA_2,
    BETA_1,
    Steps,
    intent,
)
from holdfast.events.fields import Health, Layer
from holdfast.events.hands import (
    LeaseAcquired,
    LeaseLost,
    RecoveryExhausted,
    RecoveryStarted,
    RecoverySucceeded,
    ResourceFailed,
    ResourceStarted,
)
from holdfast.events.health import HealthSignal, NodeCleared, NodeSeen, NodeSuspected
from holdfast.events.ownership import (
    Alternative,
    DecisionMade,
    DecisionRefused,
    FenceFinished,
    FenceStarted,
    GroupHeld,
    LeaderElected,
    LeaderLost,
    LeaseRevoked,
    MoveFailed,
    MoveKind,
)
from holdfast.events.storage import VolumeRefused
from holdfast.events.system import (
    MessageRejected,
    NotificationFailed,
    NotificationSent,
    OperatorRequest,
    ServiceStarted,
    ServiceStopped,
    SpoolSetAside,
)

DECIDER = "failover_decider"
AGENT = "fence_ipmilan"


def tell(record: Recorder) -> None:
    """Record the whole story."""
    steps = Steps(record)
    _cluster_forms(record, steps)
    record.wait(120)
    _process_dies(record)
    record.wait(300)
    _beta_stalls(record)
    record.wait(600)
    _alpha_loses_power(record, steps)
    record.wait(900)
    _alpha_returns(record)
    record.wait(3600)
    _disk_breaks(record, steps)
    record.wait(60)
    record("alpha", "monitor", ServiceStopped(service="monitor", place="alpha", reason="SIGTERM"))


def _cluster_forms(record: Recorder, steps: Steps) -> None:
    for place, service in (("alpha", "recovery"), ("alpha", DECIDER), ("beta", "recovery")):
        record(place, service, ServiceStarted(service=service, place=place, version="0.1.0", pid=7))
    votes = ["alpha", "beta", "witness"]
    record(
        "alpha",
        DECIDER,
        LeaderElected(leader="alpha", term=1, votes=votes, proof="nobody led before"),
    )
    record("alpha", "recovery", LeaseAcquired(node="alpha", boot=ALPHA_1, term=1, ttl=6.0))
    record("beta", "recovery", LeaseAcquired(node="beta", boot=BETA_1, term=1, ttl=6.0))
    seen = record("alpha", DECIDER, NodeSeen(node="alpha", boot=ALPHA_1))
    decision = record(
        "alpha",
        DECIDER,
        DecisionMade(
            group="ledger",
            kind=MoveKind.START,
            rule="start_on_preferred_node",
            intent=intent(1),
            source=None,
            target="alpha",
            epoch=1,
            evidence=[seen.id],
            alternatives=[
                Alternative(choice="start on beta", rejected_because="alpha is preferred")
            ],
        ),
        seen,
    )
    steps.start("alpha", "alpha", decision, epoch=1, phases={"decide": 0.01})


def _process_dies(record: Recorder) -> None:
    signal = record(
        "alpha", "monitor", _process_failed("alpha", "4711:88123", "killed by signal 9")
    )
    started = record("alpha", "recovery", _recovery("alpha", epoch=1), signal)
    record.wait(0.21)
    again = record(
        "alpha",
        "recovery",
        ResourceStarted(
            group="ledger",
            resource="server",
            node="alpha",
            epoch=1,
            instance="4802:100211",
            took=0.21,
        ),
        started,
    )
    restored = record(
        "alpha",
        "recovery",
        RecoverySucceeded(
            group="ledger", resource="server", node="alpha", epoch=1, attempt=1, took=0.22
        ),
        again,
    )
    _notified(record, restored)


def _beta_stalls(record: Recorder) -> None:
    suspected = record("alpha", DECIDER, NodeSuspected(node="beta", boot=BETA_1, silent_for=1.5))
    asked = _fence_status(record, "alpha", "beta", BETA_1, suspected, outcome="on")
    record(
        "alpha",
        DECIDER,
        DecisionRefused(
            group=None,
            node="beta",
            rule="suspicion_is_not_death",
            reason="beta is on and its lease has not run out",
            evidence=[suspected.id, asked.id],
        ),
        asked,
    )
    record.wait(1.1)
    record("alpha", DECIDER, NodeCleared(node="beta", boot=BETA_1, silent_for=2.6), suspected)


def _alpha_loses_power(record: Recorder, steps: Steps) -> None:
    record(
        "beta",
        DECIDER,
        LeaderElected(
            leader="beta", term=2, votes=["beta", "witness"], proof="the old term ran out"
        ),
    )
    suspected = record("beta", DECIDER, NodeSuspected(node="alpha", boot=ALPHA_1, silent_for=1.52))
    _notified(record, suspected)
    off = _fence_status(record, "beta", "alpha", ALPHA_1, suspected, outcome="off")
    revoked = record(
        "beta",
        DECIDER,
        LeaseRevoked(
            node="alpha",
            boot=ALPHA_1,
            term=2,
            votes=["beta", "witness"],
            proof="fenced_off",
            proof_detail=f"{AGENT} reported status off",
        ),
        off,
    )
    decision = record(
        "beta",
        DECIDER,
        DecisionMade(
            group="ledger",
            kind=MoveKind.FAILOVER,
            rule="owner_proven_dead",
            intent=intent(2),
            source="alpha",
            target="beta",
            epoch=2,
            evidence=[suspected.id, off.id, revoked.id],
            alternatives=[
                Alternative(
                    choice="wait for alpha",
                    rejected_because="its fence device says that it is off",
                ),
                Alternative(choice="hold", rejected_because="beta is healthy and in the list"),
            ],
        ),
        revoked,
    )
    moved = steps.start(
        "beta", "beta", decision, epoch=2, phases={"suspect": 1.52, "fence": 0.18, "decide": 0.02}
    )
    _notified(record, moved)
    record.wait(4)
    record(
        "witness",
        "notifier",
        NotificationFailed(
            channel="pager", about=moved.id, attempts=5, reason="connection refused"
        ),
        moved,
    )


def _alpha_returns(record: Recorder) -> None:
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
    record("beta", DECIDER, NodeSeen(node="alpha", boot=ALPHA_2, previous_boot=ALPHA_1))
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


def _disk_breaks(record: Recorder, steps: Steps) -> None:
    record(
        "alpha",
        "recovery",
        LeaseLost(node="alpha", boot=ALPHA_2, term=3, reason="no majority for 5.0 s"),
    )
    signal = record(
        "beta", "monitor", _process_failed("beta", "611:52100", "exit status 1: disk I/O error")
    )
    started = record("beta", "recovery", _recovery("beta", epoch=2), signal)
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
    _notified(record, held)


def _fence_status(
    record: Recorder, place: str, node: str, boot: str, cause: Envelope, *, outcome: str
) -> Envelope:
    started = record(
        place, DECIDER, FenceStarted(node=node, boot=boot, action="status", agent=AGENT), cause
    )
    record.wait(0.18)
    return record(
        place,
        DECIDER,
        FenceFinished(
            node=node,
            boot=boot,
            action="status",
            agent=AGENT,
            outcome=outcome,
            detail=f"chassis power is {outcome}",
            took=0.18,
        ),
        started,
    )


def _process_failed(node: str, instance: str, reason: str) -> HealthSignal:
    return HealthSignal(
        layer=Layer.APPLICATION,
        node=node,
        observer=node,
        probe="process",
        state=Health.FAILED,
        previous=Health.OK,
        reason=reason,
        instance=instance,
        measurements={"lived_seconds": 119.4},
    )


def _recovery(node: str, *, epoch: int) -> RecoveryStarted:
    return RecoveryStarted(
        group="ledger",
        resource="server",
        node=node,
        epoch=epoch,
        rule="restart_within_attempts",
        attempt=1,
        attempts_allowed=3 if node == "alpha" else 1,
        delay=0.0,
    )


def _notified(record: Recorder, about: Envelope) -> None:
    record(
        "witness", "notifier", NotificationSent(channel="ops", about=about.id, attempts=1), about
    )
