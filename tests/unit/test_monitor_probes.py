"""The pure parts of the probes: parsing, thresholds, links, silence."""

import os
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.config.model import Thresholds
from holdfast.events.fields import Health
from holdfast.monitor.observation import Observation
from holdfast.monitor.probes import disk, load, memory, netlink, psi
from holdfast.monitor.probes.base import ProbeUnavailable
from holdfast.monitor.probes.links import Links
from holdfast.monitor.probes.netlink import LIST_ENDS, Change
from holdfast.monitor.probes.peers import Silence
from holdfast.monitor.probes.sampling import Threshold
from holdfast.timing import PROFILES

PRESSURE = """some avg10=41.50 avg60=4.16 avg300=2.65 total=24841629
full avg10=1.00 avg60=0.50 avg300=0.25 total=12
"""


def test_pressure_file() -> None:
    measured = psi.parse(PRESSURE, place="cpu")
    assert measured["some_avg10_percent"] == 41.5
    assert measured["full_avg300_percent"] == 0.25


@pytest.mark.parametrize("text", ["", "some", "some avg10=x avg60=0 avg300=0", "full avg10=1.0"])
def test_an_unreadable_pressure_file_is_named(text: str) -> None:
    with pytest.raises(ProbeUnavailable, match="/proc/pressure/io"):
        psi.parse(text, place="/proc/pressure/io")


@pytest.mark.skipif(
    not Path("/proc/pressure").is_dir(), reason="this kernel has no PSI (/proc/pressure)"
)
@pytest.mark.parametrize("resource", psi.RESOURCES)
def test_this_kernels_pressure(resource: str) -> None:
    path = Path("/proc/pressure") / resource
    measured = psi.parse(path.read_text(encoding="ascii"), place=str(path))
    assert 0 <= measured["some_avg10_percent"] <= 100


async def test_no_pressure_files_is_unavailable_with_a_cure(tmp_path: Path) -> None:
    probe = psi.probes("alpha", Thresholds(), root=tmp_path)[0]
    with pytest.raises(ProbeUnavailable, match="CONFIG_PSI"):
        await probe.run(lambda seen: None)


def test_memory() -> None:
    text = "MemTotal:        1000 kB\nMemFree:    1 kB\nMemAvailable:     40 kB\n"
    sample = memory.parse(text, 5.0, place="meminfo")
    assert sample.value == pytest.approx(4.0)
    with pytest.raises(ProbeUnavailable, match="meminfo"):
        memory.parse("MemTotal: 0 kB\nMemAvailable: 0 kB\n", 5.0, place="meminfo")


def test_steal_is_measured_between_two_readings() -> None:
    before = load.parse_cpu_ticks("cpu  100 0 100 800 0 0 0 0 50 0\ncpu0 1 2 3\n")
    after = load.parse_cpu_ticks("cpu  150 0 100 825 0 0 0 25 100 0\n")
    assert load.steal_percent(before, after) == pytest.approx(25.0)
    assert load.steal_percent(after, after) == 0.0
    assert load.steal_percent([], after) == pytest.approx(100 * 25 / 1100)


@pytest.mark.parametrize("text", ["", "intr 1 2 3", "cpu 1 2 3", "cpu a b c d e f g h"])
def test_unreadable_cpu_ticks(text: str) -> None:
    with pytest.raises(ProbeUnavailable, match="/proc/stat"):
        load.parse_cpu_ticks(text)


def test_the_scarcer_of_space_and_inodes_counts() -> None:
    few_inodes = os.statvfs_result((4096, 4096, 1000, 500, 400, 1000, 20, 10, 0, 255))
    sample = disk.sample(few_inodes, 5.0, place="/x")
    assert sample.value == pytest.approx(1.0)
    assert "inodes" in sample.reason
    no_inodes = os.statvfs_result((4096, 4096, 1000, 500, 400, 0, 0, 0, 0, 255))
    assert disk.sample(no_inodes, 5.0, place="/x").value == pytest.approx(40.0)


@given(values=st.lists(st.floats(0, 100), max_size=50), level=st.floats(1, 60))
def test_between_the_levels_nothing_changes(values: list[float], level: float) -> None:
    for threshold in (Threshold.above(level), Threshold.below(level)):
        low, high = sorted((threshold.enter, threshold.leave))
        was = False
        for value in values:
            now = threshold.exceeded(value, was)
            assert now == was or not low < value < high
            was = now


def test_threshold_directions() -> None:
    above, below = Threshold.above(40.0), Threshold.below(5.0)
    assert above.exceeded(40.0, was=False)
    assert not above.exceeded(35.0, was=False)
    assert above.exceeded(35.0, was=True)
    assert not above.exceeded(29.0, was=True)
    assert below.exceeded(5.0, was=False)
    assert not below.exceeded(6.0, was=False)
    assert below.exceeded(6.0, was=True)
    assert not below.exceeded(8.0, was=True)


# --- links -----------------------------------------------------------------------------------


def up(name: str, **more: object) -> Change:
    return Change(name=name, enabled=True, carrier=True, **more)  # type: ignore[arg-type]


def states(seen: list[Observation]) -> list[tuple[str, Health]]:
    return [(one.subject.probe, one.state) for one in seen]


def test_only_a_link_that_was_up_can_go_down() -> None:
    links = Links("alpha")
    assert links.take(Change(name="eth1", enabled=True)) == []
    assert states(links.take(up("eth0"))) == [("link-eth0", Health.OK)]
    assert links.take(LIST_ENDS) == []
    (down,) = links.take(Change(name="eth0", enabled=True))
    assert down.state is Health.DEGRADED
    assert "no carrier" in down.reason
    assert states(links.take(up("eth0"))) == [("link-eth0", Health.OK)]
    assert states(links.take(up("eth1"))) == [("link-eth1", Health.OK)]
    (removed,) = links.take(Change(name="eth1", removed=True))
    assert "removed" in removed.reason
    assert removed.state is Health.DEGRADED


def test_loopback_and_the_links_of_guests_are_not_watched() -> None:
    links = Links("alpha")
    for change in (
        up("lo", loopback=True),
        up("br0", kind="bridge"),
        up("veth1", kind="veth", enslaved=True),
    ):
        assert links.take(change) == []
    assert states(links.take(up("tun0", kind="tun"))) == [("link-tun0", Health.OK)]
    links.take(LIST_ENDS)
    assert links.take(up("veth2", kind="veth")) == []
    assert states(links.take(up("bond0", kind="bond"))) == [("link-bond0", Health.OK)]


def test_a_virtual_link_that_is_removed_is_no_longer_down() -> None:
    links = Links("alpha")
    links.take(up("tun0", kind="tun"))
    assert states(links.take(Change(name="tun0", kind="tun"))) == [("link-tun0", Health.DEGRADED)]
    removed = Change(name="tun0", kind="tun", removed=True)
    assert states(links.take(removed)) == [("link-tun0", Health.OK)]
    assert links.take(removed) == []


def attribute(kind: int, value: bytes) -> bytes:
    length = 4 + len(value)
    return struct.pack("=HH", length, kind) + value + b"\0" * (-length % 4)


def message(kind: int, body: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body


def test_netlink_messages_are_read() -> None:
    info = attribute(18, attribute(1, b"veth\0") + attribute(2, b"\0\0\0\0"))
    body = struct.pack("=BxHiII", 0, 1, 7, 0x10043, 0) + attribute(3, b"veth1\0")
    body += attribute(10, struct.pack("=I", 3)) + info
    assert netlink.parse(message(16, body) + message(3, b"\0\0\0\0") + message(99, b"")) == [
        Change(name="veth1", enabled=True, carrier=True, enslaved=True, kind="veth"),
        LIST_ENDS,
    ]
    assert netlink.parse(message(17, body))[0].removed


@given(st.binary(max_size=200))
def test_garbage_is_a_value_error_or_nothing(data: bytes) -> None:
    for raw in (data, message(16, data)):
        try:
            netlink.parse(raw)
        except ValueError:
            continue


# --- peers -----------------------------------------------------------------------------------

TIMING = PROFILES["standard"]
STEP = TIMING.pulse_every


def test_a_peer_counts_from_when_it_was_first_heard() -> None:
    silence = Silence(["beta", "gamma"], TIMING)
    assert not silence.heard("alpha", 0.0)
    assert silence.look(100.0, connected=True) == []
    assert silence.heard("beta", 100.1)
    assert [one.subject.entity for one in silence.look(100.2, connected=True)] == ["node/beta"]


def _listen(silence: Silence, start: float, seconds: float, connected: bool = True) -> float:
    now = start
    while now < start + seconds:
        now += STEP
        silence.look(now, connected)
    return now


def test_silence_beyond_the_suspicion_time_is_a_failure_until_the_next_pulse() -> None:
    silence = Silence(["beta"], TIMING)
    silence.heard("beta", 10.0)
    now = _listen(silence, 10.0, TIMING.suspect_after - STEP)
    assert silence.look(now, True)[0].state is Health.OK
    now = _listen(silence, now, 2 * STEP)
    (failed,) = silence.look(now, True)
    assert failed.state is Health.FAILED
    assert failed.reason.startswith("no pulse for ")
    silence.heard("beta", now + 0.1)
    assert silence.look(now + STEP, True)[0].state is Health.OK


def test_time_off_the_bus_is_not_the_peers_silence() -> None:
    silence = Silence(["beta"], TIMING)
    silence.heard("beta", 10.0)
    now = _listen(silence, 10.0, 30.0, connected=False)
    assert silence.look(now + STEP, True) == []
    now = _listen(silence, now + STEP, TIMING.suspect_after + STEP)
    assert silence.look(now, True)[0].state is Health.FAILED


def test_time_spent_frozen_is_not_the_peers_silence() -> None:
    silence = Silence(["beta"], TIMING)
    silence.heard("beta", 10.0)
    silence.look(10.1, True)
    assert silence.look(40.0, True) == []
    silence.heard("beta", 40.1)
    assert silence.look(40.2, True)[0].state is Health.OK


def test_being_deaf_makes_no_silent_peer_well() -> None:
    silence = Silence(["beta"], TIMING)
    silence.heard("beta", 10.0)
    now = _listen(silence, 10.0, 5.0)
    assert silence.look(now, True)[0].state is Health.FAILED
    silence.look(now + 30, True)
    assert silence.look(now + 30 + STEP, True) == []
