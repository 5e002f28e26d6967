"""A group whose owner serves its volume no more is moved; one whose writes wait is not."""

from typing import Any

import msgspec

from holdfast.events import Health, Layer
from holdfast.failover_decider.state import GroupView, State, Trail
from holdfast.failover_decider.unserved import UNSERVED_FOR, volume_unserved
from holdfast.failover_decider.verdicts import Decision, Refusal, Verdict
from holdfast.ownership import OwnershipRecord, Phase
from holdfast.wire import GroupReport, SignalSummary
from holdfast.wire.volumes import VolumePulse
from tests.unit.test_decider_copies import NOW, cluster, copy, state

LOST = "not served: alpha has lost the files beside its data"


def test_it_goes_where_another_copy_has_everything() -> None:
    verdict = _verdict(copy("in_sync", role="off", problem=LOST), copy("in_sync"))
    assert isinstance(verdict, Decision)
    assert (verdict.target, verdict.phase) == ("beta", Phase.STOPPING)
    assert verdict.evidence == ["event"]
    (passed_over,) = verdict.alternatives
    assert passed_over.rejected_because == LOST


def test_without_such_a_copy_it_says_why_not() -> None:
    verdict = _verdict(copy("in_sync", role="off", problem=LOST), copy("behind"))
    assert isinstance(verdict, Refusal)
    assert LOST in verdict.reason
    assert "lacks acknowledged writes" in verdict.reason


def test_a_data_path_is_given_time_to_come_back() -> None:
    gone = copy("in_sync", role="off", problem=LOST)
    assert _verdict(gone, copy("in_sync"), since=NOW - UNSERVED_FOR + 1.0) is None


def test_where_writes_wait_they_would_wait_elsewhere_too() -> None:
    frozen = copy("in_sync", role="primary", frozen="the record cannot be changed")
    assert _verdict(frozen, copy("in_sync")) is None


def _verdict(alpha: VolumePulse, beta: VolumePulse, **signal: Any) -> Verdict:
    made = state(cluster(), alpha, beta)
    record = OwnershipRecord(group="g", epoch=4, owner="alpha", boot="b", phase=Phase.ACTIVE)
    return volume_unserved(_owned(made, **signal), GroupView("g", record), NOW)


def _owned(made: State, since: float = NOW - UNSERVED_FOR) -> State:
    """Alpha runs the group, and its storage service says that something is wrong."""
    signal = SignalSummary(
        entity="volume/v",
        node="alpha",
        layer=Layer.STORAGE,
        probe="volume",
        state=Health.FAILED,
        reason=LOST,
        event="event",
        incident="incident",
        since=since,
    )
    alpha = made.nodes["alpha"]
    assert alpha.hands is not None
    report = GroupReport(group="g", epoch=4, state="active")
    owner = msgspec.structs.replace(
        alpha,
        seen=Trail("seen", "seen"),
        hands=msgspec.structs.replace(alpha.hands, groups=[report]),
        hands_heard=NOW,
        signals={"storage_replication": (signal,)},
    )
    beta = msgspec.structs.replace(made.nodes["beta"], boot="c")
    return msgspec.structs.replace(made, nodes={"alpha": owner, "beta": beta})
