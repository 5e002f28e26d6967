"""What a disk loses without a word: real processes over devices that rot."""

from pathlib import Path

import pytest

from holdfast.storage_replication.control import Failed, Verify
from holdfast.storage_replication.engine.ports import Differences, MemberLost
from tests.support.loop_device import loop_device
from tests.support.replicated import MIB, Volume, running

pytestmark = pytest.mark.volumes
SIZE = 16 * MIB


@pytest.mark.parametrize("name", ["a", "b"])
def test_rot_under_the_cache_is_found_and_repaired(tmp_path: Path, name: str) -> None:
    volume = Volume(tmp_path, size=SIZE)
    below = tmp_path / "below.raw"
    below.write_bytes(bytes(SIZE))
    with loop_device(below) as device:
        volume.nodes[name].file = device
        with running(volume):
            volume.settled()
            with volume.client() as client:
                assert client.write(5 * MIB, b"good" * 4096) == 0
                assert client.flush() == 0
                with below.open("r+b") as disk:
                    disk.seek(5 * MIB + 4096)
                    disk.write(b"rot!")
                primary = volume.primary
                primary.done(Verify(id=volume.id(), member="b", repair=True))
                (found,) = primary.soon(Differences)
                assert found.ranges == [(5 * MIB + 4096, 4096)]
                assert client.flush() == 0, "after the repair"
                with below.open("rb") as disk:
                    disk.seek(5 * MIB + 4096)
                    assert disk.read(4) == b"good"
                assert client.read(5 * MIB + 4096, 4) == b"good"
                primary.done(Verify(id=volume.id(), member="b"))
                volume.until(lambda: len(primary.happened(Differences)) == 2, "compared again")
                assert primary.happened(Differences)[1].ranges == []
                assert not primary.happened(MemberLost)


def test_a_second_verify_is_refused(tmp_path: Path) -> None:
    """And the first goes on, and no member is lost by it."""
    with running(Volume(tmp_path, size=256 * MIB)) as volume:
        volume.settled()
        primary = volume.primary
        primary.done(Verify(id=volume.id(), member="b"))
        second = primary.order(Verify(id=volume.id(), member="b"))
        assert isinstance(second, Failed)
        assert "already" in second.problem
        volume.until(lambda: primary.happened(Differences), "compared")
        assert not primary.happened(MemberLost)
