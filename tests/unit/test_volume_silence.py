"""A member that is silent: reported as degraded, and for how long it may be so by default."""

from pathlib import Path

import msgspec
import pytest

from holdfast.config.load import load
from holdfast.config.volumes import ReplicatedVolume, VolumeMember
from holdfast.events import Draft, Health
from holdfast.events.health import HealthSignal
from holdfast.storage_replication.control import Happened, MemberState
from holdfast.storage_replication.engine.ports import MemberLost, MemberSilent
from holdfast.storage_replication.replicated.happened import tell
from holdfast.storage_replication.replicated.place import place_of
from holdfast.storage_replication.replicated.pulse import lacking
from holdfast.storage_replication.replicated.reports import Reports
from holdfast.timing import PROFILES
from holdfast.volumes import MemberRecord, VolumeRecord
from tests.support.cluster_file import write_cluster_file

RECORD = VolumeRecord(
    volume="v", uuid="u", size=4096, epoch=3, primary="alpha", in_sync=["alpha", "beta"],
    members={name: MemberRecord(instance=name) for name in ("alpha", "beta", "gamma")},
)  # fmt: skip


def _happened(number: int, what: MemberSilent | MemberLost) -> Happened:
    return Happened(number=number, time="2026-01-01T00:00:00Z", epoch=3, what=what)


def _member(silent: float) -> MemberState:
    return MemberState(
        connected=True, counts=True, asynchronous=False, phase="streaming", behind=0, silent=silent
    )


def test_a_silence_is_an_alert_and_its_end_is_told() -> None:
    drafts: list[Draft] = []
    reports = Reports("alpha", drafts.append, lambda: None)
    tell(reports, "v", "alpha", _happened(1, MemberSilent("beta", 1.52)))
    reports.member("v", 3, "beta", lacking(RECORD, "beta", _member(2.5)))
    (only,) = drafts
    assert isinstance(only.data, HealthSignal)
    assert (only.data.node, only.data.state) == ("beta", Health.DEGRADED)
    assert only.data.reason == "silent for 1.5 s"
    reports.member("v", 3, "beta", lacking(RECORD, "beta", _member(0.0)))
    assert isinstance(drafts[-1].data, HealthSignal)
    assert drafts[-1].data.state is Health.OK


def test_a_loss_after_a_silence_is_of_the_same_incident() -> None:
    drafts: list[Draft] = []
    reports = Reports("alpha", drafts.append, lambda: None)
    tell(reports, "v", "alpha", _happened(1, MemberSilent("beta", 1.52)))
    tell(reports, "v", "alpha", _happened(2, MemberLost("beta", "silent for 5.8 s")))
    signal, lost = drafts
    assert (lost.incident, lost.cause) == (signal.id, signal.id)


def test_what_a_primary_says_against_a_member() -> None:
    assert lacking(RECORD, "beta", None) == lacking(RECORD, "beta", _member(0.0)) == ""
    assert "does not have" in lacking(RECORD, "gamma", _member(2.0))


def test_an_async_member_that_is_away_is_told_of_while_it_follows() -> None:
    record = msgspec.structs.replace(RECORD, in_sync=["alpha"], following=["beta"])
    away = msgspec.structs.replace(
        _member(0.0), connected=False, asynchronous=True, phase="away", lag_bytes=9, lag_seconds=2.0
    )
    said = lacking(record, "beta", away)
    assert said == "not connected: it lacks 9 bytes of 2.0 s"
    assert lacking(record, "beta", msgspec.structs.replace(away, phase="streaming")) == ""


def test_a_member_that_is_lost_is_not_called_well_until_the_record_counts_it_no_more() -> None:
    lost = msgspec.structs.replace(_member(0.0), connected=False, phase="away", asked="take_out")
    assert "still counts on it" in lacking(RECORD, "beta", lost)


@pytest.mark.parametrize("profile", list(PROFILES))
def test_a_stall_that_moves_nothing_costs_no_copy(profile: str, tmp_path: Path) -> None:
    file = write_cluster_file(tmp_path, [])
    file.write_text(file.read_text().replace("fencing =", f'profile = "{profile}"\nfencing ='))
    cluster = load(file)
    member = VolumeMember(path="/v.raw", port=7801)
    config = ReplicatedVolume(size="1GiB", members={next(iter(cluster.nodes)): member})
    node = next(iter(cluster.nodes))
    place = place_of(cluster, "v", config, node, tmp_path, tmp_path)
    assert place.bounds().member_timeout == PROFILES[profile].stall
    given = msgspec.structs.replace(config, member_timeout=15.0)
    place = place_of(cluster, "v", given, node, tmp_path, tmp_path)
    assert place.bounds().member_timeout == 15.0
