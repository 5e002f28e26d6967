"""What operators are told while it happens: how far a member lags, and when it will be done."""

import itertools
import signal
from pathlib import Path
from statistics import median

import pytest

from holdfast.clock import monotonic
from holdfast.storage_replication.control import Bounds, MemberState, State
from tests.support.replicated import MIB, Volume, running

pytestmark = pytest.mark.volumes
EACH, AT_MOST = 1.2, 2.0
"""Seconds between two words: one, and a tenth until the next tick; and on a busy machine."""
BLOCK = 64 << 10
SMALL = 512


def test_the_lag_is_told_each_second(tmp_path: Path) -> None:
    bounds = Bounds(member_timeout=60.0)
    with running(Volume(tmp_path, asynchronous=("b",), bounds=bounds)) as volume:
        volume.settled()
        primary, replica = volume.primary, volume.nodes["b"]
        replica.send_signal(signal.SIGSTOP)
        began, since = monotonic(), len(primary.told)
        with volume.client() as client:
            number = 0
            while monotonic() < began + 6.0:
                assert client.write(number % 256 * BLOCK, bytes(SMALL)) == 0
                number += 1
        ended = monotonic()
        told = primary.told[since:]
        replica.send_signal(signal.SIGCONT)
        times = [began, *(at for at, _ in told), ended]
        gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
        assert median(gaps) <= EACH, gaps
        assert max(gaps) <= AT_MOST, gaps
        lags = [state.members["b"] for _, state in told]
        behind = [lag for lag in lags if lag.lag_bytes]
        assert len(behind) >= 4
        for earlier, later in itertools.pairwise(behind):
            # The same oldest write: its age says when this was said, by the primary's own clock.
            assert 0 < later.lag_seconds - earlier.lag_seconds <= AT_MOST
            assert later.lag_bytes >= earlier.lag_bytes
        assert behind[-1].lag_bytes <= number * SMALL
        assert behind[-1].lag_seconds <= ended - began
        volume.settled()
        volume.same()


def test_when_a_resync_ends_is_told_early(tmp_path: Path) -> None:
    """Within a factor of two after its first third, and about right afterwards."""
    size = 512 * MIB
    with running(Volume(tmp_path, size=size)) as volume:
        volume.settled()
        replica = volume.nodes["b"]
        replica.end()
        volume.until(lambda: volume.record.in_sync == {"a"}, "it is lost")
        with volume.client() as client:
            for offset in range(0, size, MIB):
                assert client.write(offset, b"changed") == 0
                for chunk in range(BLOCK, MIB, BLOCK):
                    client.send_write(offset + chunk, b"changed")
                for _ in range(BLOCK, MIB, BLOCK):
                    assert client.reply() == 0
        since = len(volume.primary.told)
        volume.restart("b")
        volume.settled()
        told = volume.primary.told[since:]
        # Told once a second, so all that is known of the end is between which two words it was.
        earliest = max(at for at, one in told if not _done(one))
        latest = min(at for at, one in told if at > earliest)
        estimates = [
            (at, share, member.resync.eta)
            for at, state in told
            if (member := _member(state)) is not None
            and member.resync is not None
            and member.resync.eta
            and 1 / 3 <= (share := member.resync.done / member.resync.total) <= 0.8
        ]
        assert estimates, "it was too quick to be told of"
        for at, share, eta in estimates:
            least, most = earliest - at, latest - at
            told_well = 0.5 * least <= eta <= 2.0 * most
            assert told_well, f"at {share:.0%}: {eta:.1f} s, it were {least:.1f} to {most:.1f}"


def _member(state: State) -> MemberState | None:
    return state.members.get("b")


def _done(state: State) -> bool:
    member = _member(state)
    return member is not None and member.phase == "streaming"
