"""The story the example record tells: a week in the life of a group named `ledger`.

It starts on alpha, dies and is restarted there, alpha loses power and beta takes over, alpha
returns, and at last a broken disk keeps the group down.
"""

from holdfast.events.example_aftermath import alpha_is_repaired, alpha_returns, disk_breaks
from holdfast.events.example_parts import (
    fence_status,
    heard,
    notified,
    process_failed,
    recovery,
    silent,
)
from holdfast.events.example_recorder import Recorder
from holdfast.events.example_steps import (
    ALPHA_1,
    BETA_1,
    Steps,
    intent,
)
from holdfast.events.example_volume import volume_story
from holdfast.events.hands import (
    LeaseAcquired,
    RecoverySucceeded,
    ResourceStarted,
)
from holdfast.events.health import NodeCleared, NodeSeen, NodeSuspected
from holdfast.events.ownership import (
    Alternative,
    DecisionMade,
    DecisionRefused,
    LeaderElected,
    LeaseRevoked,
    MoveKind,
)
from holdfast.events.system import (
    NotificationFailed,
    ServiceStarted,
    ServiceStopped,
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
    alpha_returns(record)
    record.wait(3600)
    alpha_is_repaired(record)
    volume_story(record)
    disk_breaks(record, steps)
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
    seen = record(
        "alpha", DECIDER, NodeSeen(node="alpha", boot=ALPHA_1), heard(record, "alpha", "alpha")
    )
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
    signal = record("alpha", "monitor", process_failed("alpha", "4711:88123", "killed by signal 9"))
    started = record("alpha", "recovery", recovery("alpha", epoch=1), signal)
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
    notified(record, restored)


def _beta_stalls(record: Recorder) -> None:
    silence = silent(record, "alpha", "beta", 1.5)
    suspected = record(
        "alpha", DECIDER, NodeSuspected(node="beta", boot=BETA_1, silent_for=1.5), silence
    )
    asked = fence_status(record, "alpha", "beta", BETA_1, suspected, outcome="on")
    record(
        "alpha",
        DECIDER,
        DecisionRefused(
            group=None,
            node="beta",
            rule="suspicion_is_not_death",
            reason="beta is on and its lease has not run out",
            evidence=[silence.id, asked.id],
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
    silence = silent(record, "beta", "alpha", 1.52)
    suspected = record(
        "beta", DECIDER, NodeSuspected(node="alpha", boot=ALPHA_1, silent_for=1.52), silence
    )
    notified(record, suspected)
    off = fence_status(record, "beta", "alpha", ALPHA_1, suspected, outcome="off")
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
            evidence=[silence.id, off.id, revoked.id],
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
    notified(record, moved)
    record.wait(4)
    record(
        "witness",
        "notifier",
        NotificationFailed(
            channel="pager", about=moved.id, attempts=5, reason="connection refused"
        ),
        moved,
    )
