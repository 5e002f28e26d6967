"""A file system on a volume: nbdfuse makes it a file, a loop device makes that a disk."""

import contextlib
import hashlib
import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.data_path import DataPath, running
from tests.volumes.tools import need, need_devices, run

pytestmark = [pytest.mark.volumes, pytest.mark.timeout(300)]
MIB = 1024 * 1024
WITHIN = 20.0


@contextmanager
def fused(path: DataPath, folder: Path) -> Iterator[Path]:
    """The volume as a file."""
    folder.mkdir()
    disk = folder / "disk"
    with subprocess.Popen(["nbdfuse", str(disk), path.uri]) as process:
        try:
            deadline = time.monotonic() + WITHIN
            while not disk.exists():
                assert process.poll() is None, "nbdfuse ended"
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield disk
        finally:
            with contextlib.suppress(AssertionError):
                run("fusermount3", "-u", folder)
            process.wait(WITHIN)


@contextmanager
def looped(file: Path) -> Iterator[Path]:
    """A loop device on a file."""
    device = Path(run("losetup", "--find", "--show", file).strip())
    try:
        yield device
    finally:
        run("losetup", "--detach", device)


@contextmanager
def mounted(device: Path, folder: Path) -> Iterator[Path]:
    """A file system in use."""
    folder.mkdir(exist_ok=True)
    run("mount", device, folder)
    try:
        yield folder
    finally:
        run("umount", folder)


@pytest.mark.parametrize(
    ("make", "check"),
    [
        (["mkfs.ext4", "-q", "-F"], ["e2fsck", "-f", "-n"]),
        (["mkfs.xfs", "-q", "-f"], ["xfs_repair", "-n"]),
    ],
    ids=["ext4", "xfs"],
)
def test_a_file_system_holds_what_was_put_there(
    served: DataPath, tmp_path: Path, make: list[str], check: list[str]
) -> None:
    need_devices("/dev/loop-control", "/dev/fuse")
    need("losetup", "nbdfuse", "fusermount3", make[0], check[0])
    source = random.Random(1)
    wanted = {f"{n}/{n}.bin": source.randbytes(source.randrange(400_000)) for n in range(200)}
    with fused(served, tmp_path / "fuse") as disk:
        with looped(disk) as device:
            run(*make, device)
            with mounted(device, tmp_path / "mnt") as root:
                for name, data in wanted.items():
                    (root / name).parent.mkdir()
                    (root / name).write_bytes(data)
                for name in list(wanted)[::3]:
                    (root / name).unlink()
                    del wanted[name]
                run("fstrim", root)
        with looped(disk) as device:
            run(*check, device)
            with mounted(device, tmp_path / "mnt") as root:
                found = {
                    str(path.relative_to(root)): digest(path.read_bytes())
                    for path in root.rglob("*.bin")
                }
    assert found == {name: digest(data) for name, data in wanted.items()}


def test_a_block_device_is_served_and_held(tmp_path: Path) -> None:
    need_devices("/dev/loop-control")
    need("losetup", "mkfs.ext4", "qemu-io")
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(64 * MIB)
    with looped(image) as device:
        path = DataPath(tmp_path, file=device)
        with running(path):
            run(
                *("qemu-io", "-f", "raw", path.uri, "-c", "write -P 5 0 64M"),
                *("-c", "write -z -u 1000000 3000000", "-c", "discard 8M 8M", "-c", "flush"),
                *("-c", "read -P 5 0 1000000", "-c", "read -P 0 1000000 3000000"),
                *("-c", "read -P 5 4000000 1M", "-c", "read -P 0 8M 8M"),
            )
            assert "in use" in run("mkfs.ext4", "-q", device, code=1)
        run("mkfs.ext4", "-q", "-F", device)
        with mounted(device, tmp_path / "mnt"):
            second = DataPath(tmp_path, file=device)
            with pytest.raises(AssertionError, match="somebody else holds it"):
                second.start()
            second.kill()


def test_a_flush_that_the_disk_refuses_is_final(tmp_path: Path) -> None:
    """The disk is a loop device on a file system that fills up: a real failure of fdatasync."""
    need_devices("/dev/loop-control")
    need("losetup", "qemu-io")
    small = tmp_path / "small"
    small.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", small)
    try:
        with (small / "image").open("wb") as file:
            file.truncate(64 * MIB)
        with looped(small / "image") as device:
            path = DataPath(tmp_path, file=device)
            with running(path):
                uri = path.uri
                qemu = ("qemu-io", "-f", "raw", uri, "-c")
                assert "wrote" in run(*qemu, "write -P 1 0 1M", "-c", "flush")
                said = run(*qemu, "write -P 2 0 32M", "-c", "flush", code=1)
                assert "Input/output error" in said
                for command in ("write 0 4k", "read 0 4k"):
                    assert "Input/output error" in run(*qemu, command, code=1), command
                run(*qemu, "flush", code=1)
                assert "answers nothing any more" in path.log.read_text()
                assert path.stop() == 3
    finally:
        run("umount", small)


def digest(data: bytes) -> str:
    """Short enough to read in a failure."""
    return hashlib.sha256(data).hexdigest()
