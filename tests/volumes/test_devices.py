"""Members on block devices instead of files: loop devices, of other sizes than the volume."""

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from holdfast.storage_replication.control import Failed, FallBack, Resize, Verify
from holdfast.storage_replication.engine.ports import Differences, Repaired, ResyncDone
from tests.support.replicated import MIB, Volume, running
from tests.volumes.tools import need, need_devices, run

pytestmark = [pytest.mark.volumes, pytest.mark.timeout(300)]
SIZE = 64 * MIB
BLOCK = 64 << 10


@contextlib.contextmanager
def on_devices(folder: Path) -> Iterator[Volume]:
    """Two members, each on a loop device of a MiB more than the volume."""
    need_devices("/dev/loop-control")
    need("losetup")
    devices: dict[str, Path] = {}
    with contextlib.ExitStack() as attached:
        for name in ("a", "b"):
            image = folder / f"{name}.image"
            with image.open("wb") as file:
                file.truncate(SIZE + MIB)
            devices[name] = Path(run("losetup", "--find", "--show", image).strip())
            attached.callback(run, "losetup", "--detach", devices[name])
        with running(Volume(folder, size=SIZE, devices=devices)) as volume:
            volume.settled()
            yield volume


def same(volume: Volume, size: int) -> None:
    """The members hold the same, as far as the volume goes."""
    one, other = (node.file.open("rb") for node in volume.nodes.values())
    with one, other:
        assert one.read(size) == other.read(size)


def _blocks(seed: int, count: int) -> list[bytes]:
    random = Random(seed)
    return [random.randbytes(BLOCK) for _ in range(count)]


def test_a_device_is_used_as_a_file_is(tmp_path: Path) -> None:
    """Written, zeroed, flushed; resynced after a loss; verified, repaired; grown while in use."""
    with on_devices(tmp_path) as volume:
        primary, replica = volume.nodes["a"], volume.nodes["b"]
        blocks = _blocks(1, 64)
        with volume.client() as client:
            for number, data in enumerate(blocks):
                assert client.write(number * BLOCK + 512, data) == 0
            replica.end()
            assert client.write(40 * MIB + 1, b"without b") == 0
            assert client.flush() == 0
            assert volume.record.in_sync == {"a"}
            volume.restart("b")
            volume.settled()
            (*_, done) = primary.soon(ResyncDone)
            assert 0 < done.bytes <= MIB, "what changed, not all"
            same(volume, SIZE)
            replica.end()
            with replica.file.open("r+b") as device:
                device.seek(50 * MIB)
                device.write(b"rot")
            volume.restart("b")
            volume.settled()
            primary.done(Verify(id=volume.id(), member="b", repair=True))
            (found,) = primary.soon(Differences)
            assert [offset for offset, _ in found.ranges] == [50 * MIB]
            assert primary.soon(Repaired) == [Repaired("b", 1)]
            assert client.flush() == 0
            same(volume, SIZE)
            # Grown: only once both devices are.
            assert isinstance(primary.order(Resize(id=volume.id(), size=2 * SIZE)), Failed)
            for name, node in volume.nodes.items():
                with (tmp_path / f"{name}.image").open("r+b") as image:
                    image.truncate(2 * SIZE)
                run("losetup", "--set-capacity", node.file)
            primary.done(Resize(id=volume.id(), size=2 * SIZE))
            with volume.client() as grown:
                assert grown.size == 2 * SIZE
                assert grown.write(2 * SIZE - 5, b"end") == 0
                assert grown.flush() == 0
            assert client.read(512, BLOCK) == blocks[0]
        same(volume, 2 * SIZE)


def test_an_unfinished_resync_of_a_device_is_undone(tmp_path: Path) -> None:
    with on_devices(tmp_path) as volume:
        replica, old = volume.nodes["b"], _blocks(1, 512)
        with volume.client() as client:
            for number, data in enumerate(old):
                assert client.write(number * 2 * BLOCK, data) == 0
            assert client.flush() == 0
            replica.end()
            for number in range(512):
                assert client.write(number * 2 * BLOCK, b"new" * 1000) == 0
            volume.restart("b")

            def under_way() -> bool:
                state = volume.primary.state
                resync = None if state is None else state.members["b"].resync
                return resync is not None and resync.sent > 0

            volume.until(under_way, "some of it is overwritten")
            replica.send_signal(signal.SIGSTOP)
            volume.nodes["a"].end()
            replica.send_signal(signal.SIGCONT)
        volume.until(
            lambda: replica.state and not replica.state.connected, "b is without its primary"
        )
        assert replica.state is not None
        assert replica.state.resyncing
        assert replica.state.fallback
        replica.done(FallBack(id=volume.id(), epoch=replica.state.epoch))
        volume.fail_over("b", accept_loss=True)
        with volume.client() as client:
            for number, data in enumerate(old):
                assert client.read(number * 2 * BLOCK, BLOCK) == data
            volume.restart("a")
            volume.settled()
        same(volume, SIZE)
