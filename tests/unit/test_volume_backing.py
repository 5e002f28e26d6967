"""A copy is on the file or device that it was made on, and on no other of that name and size."""

import os
import shutil
from pathlib import Path

import pytest

from holdfast.storage_replication.blocks import identity
from holdfast.storage_replication.data_path.arguments import MemberSettings
from holdfast.storage_replication.data_path.opening import open_disk
from holdfast.storage_replication.disk.backing import NAME
from holdfast.storage_replication.disk.errors import DiskRefused
from tests.support.loop_device import loop_device

SIZE = 4 << 20


def start(folder: Path, file: Path | None = None, *, blank: bool = False) -> None:
    """As a data path begins, and then ends."""
    given = MemberSettings(
        folder=folder / "own", member="b", uuid="u", size=SIZE, listen=("127.0.0.1", 0), blank=blank
    )
    open_disk(file or folder / "data.raw", given, "boot")[0].close()


def refused(folder: Path, file: Path | None = None, *, blank: bool = False) -> str:
    """Why it does not begin."""
    with pytest.raises(DiskRefused) as caught:
        start(folder, file, blank=blank)
    return str(caught.value)


async def test_another_file_in_its_place_is_refused(tmp_path: Path) -> None:
    start(tmp_path)
    start(tmp_path)
    data = tmp_path / "data.raw"
    kept = data.rename(tmp_path / "kept.raw")
    with data.open("wb") as other:
        other.truncate(SIZE)
    assert "another disk" in refused(tmp_path)
    assert "holdfast volume members remove" in refused(tmp_path), "and it stays so"
    kept.rename(data)
    start(tmp_path)


async def test_a_copy_of_the_file_is_another_one_though_it_has_the_mark(tmp_path: Path) -> None:
    start(tmp_path)
    data = tmp_path / "data.raw"
    shutil.copy2(data, tmp_path / "restored.raw")  # with its attributes
    os.replace(tmp_path / "restored.raw", data)
    assert "another disk" in refused(tmp_path)
    (tmp_path / "own" / NAME).unlink()  # the operator knows better
    start(tmp_path)


async def test_a_file_of_the_same_number_is_another_one_by_its_mark(tmp_path: Path) -> None:
    """On a file system that was made anew, the first file has the number of the first before."""
    start(tmp_path)
    try:
        os.removexattr(tmp_path / "data.raw", identity.MARK)
    except OSError as error:
        pytest.skip(f"no attributes here: {error.strerror}")
    assert "mark none now" in refused(tmp_path)


async def test_a_copy_of_an_older_holdfast_takes_what_it_is_on(tmp_path: Path) -> None:
    start(tmp_path)
    (tmp_path / "own" / NAME).unlink()
    start(tmp_path)
    with (tmp_path / "data.raw").open("r+b") as data:
        os.setxattr(data.fileno(), identity.MARK, b"of another copy")
    assert "of another copy now" in refused(tmp_path)


async def test_a_new_copy_on_a_file_that_an_earlier_one_had_is_the_only_one_on_it(
    tmp_path: Path,
) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        start(tmp_path / name, tmp_path / "data.raw")
    assert "another disk" in refused(tmp_path / "one", tmp_path / "data.raw")


async def test_where_no_attributes_are_kept_the_number_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no(*_: object) -> bytes:
        raise OSError(95, "Operation not supported")

    for call in ("setxattr", "getxattr", "removexattr"):
        monkeypatch.setattr(os, call, no)
    start(tmp_path)
    start(tmp_path)
    with (tmp_path / "new.raw").open("wb") as other:
        other.truncate(SIZE)
    os.replace(tmp_path / "new.raw", tmp_path / "data.raw")
    assert "mark none" in refused(tmp_path)


async def test_another_device_under_the_same_name_is_refused(tmp_path: Path) -> None:
    images = [tmp_path / f"{number}.image" for number in (1, 2)]
    for image in images:
        with image.open("wb") as file:
            file.truncate(SIZE)
    name = tmp_path / "sdb"
    with loop_device(images[0]) as first, loop_device(images[1]) as second:
        name.symlink_to(first)
        start(tmp_path, name)
        start(tmp_path, name)
        name.unlink()
        name.symlink_to(second)
        assert f"device over {images[1]} now" in refused(tmp_path, name)


@pytest.mark.parametrize(
    ("files", "known"),
    [
        ({"wwid": "eui.0025385\n", "serial": "S1"}, "device eui.0025385"),
        ({"device/wwid": "t10.ATA     QEMU  QM00001 \n"}, "device t10.ATA QEMU QM00001"),
        ({"serial": "vol-1"}, "device vol-1"),
        ({"dm/uuid": "LVM-abc"}, "device LVM-abc"),
        ({"serial": "\n"}, ""),
        ({}, ""),
    ],
)
def test_devices_and_partitions_as_sysfs_tells_them(
    tmp_path: Path, files: dict[str, str], known: str
) -> None:
    partition = tmp_path / "part2"
    partition.mkdir()
    (partition / "start").write_text("2048\n")
    for name, told in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(told)
    assert identity.of_device(tmp_path) == known
    assert identity.of_device(partition) == (known and f"{known}, from sector 2048")


@pytest.mark.parametrize("at", [0, 1024, 5 << 20, (256 << 20) - 1])
async def test_a_new_copy_overwrites_nothing_unless_told_to(tmp_path: Path, at: int) -> None:
    data = tmp_path / "data.raw"
    with data.open("wb") as file:
        file.truncate(256 << 20)
        file.seek(at)
        file.write(b"x")
    assert "--overwrite" in refused(tmp_path, blank=True)
    assert "holds data" in refused(tmp_path, blank=True), "and it stays so"
    start(tmp_path)
    start(tmp_path, blank=True)  # it is a copy by now


@pytest.mark.parametrize("content", [None, 0, SIZE])
async def test_what_is_blank_is_taken(tmp_path: Path, content: int | None) -> None:
    """Missing, all holes, or all zeroes that were written."""
    data = tmp_path / "data.raw"
    if content is not None:
        with data.open("wb") as file:
            file.write(bytes(content))
            file.truncate(SIZE)
    start(tmp_path, blank=True)


async def test_the_next_copy_here_takes_what_the_last_was_on_and_no_other(tmp_path: Path) -> None:
    """`members remove`, then `add`: only what differs is copied."""
    start(tmp_path)
    data, own = tmp_path / "data.raw", tmp_path / "own"
    with data.open("r+b") as file:
        file.write(b"the volume's")
    for name in ("superblock", "activity"):
        (own / name).unlink()
    kept = data.rename(tmp_path / "kept.raw")
    data.write_bytes(b"precious".ljust(SIZE, b"!"))
    assert "holds data" in refused(tmp_path, blank=True)
    kept.rename(data)
    start(tmp_path, blank=True)
