"""Run inside a user-mode Linux whose kernel has nbd: a volume as a block device, and no more."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from holdfast.console.attaching import device
from holdfast.console.attaching.record import AttachError, Attachment
from tests.support.data_path import DataPath, running
from tests.volumes.tools import run

MIB = 1 << 20


def refused(attachment: Attachment, reason: str) -> None:
    """It stays."""
    with pytest.raises(AttachError, match=re.escape(reason)):
        device.detach(attachment)
    assert device.alive(attachment)


def main() -> None:
    """Attach, use, be refused, detach; then lose the data path."""
    folder, mount = Path("/run/v"), Path("/run/m")
    folder.mkdir()
    mount.mkdir()
    path = DataPath(folder, size=64 * MIB)
    with running(path):
        assert device.possible()
        wanted = Attachment(
            volume="v1", uri=path.uri, how="device", path=str(device.free()), door=""
        )
        done = device.attach(wanted, str(path.socket))
        assert device.alive(done)
        assert device.free() != Path(done.path)
        run("mkfs.ext4", "-q", "-F", done.path)
        run("mount", done.path, mount)
        (mount / "there").write_bytes(b"there" * 1000)
        refused(done, f"mounted at {mount}")
        run("umount", mount)
        with open(done.path, "rb") as held:
            reader = subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=[held.fileno()])
        refused(done, f"({reader.pid})")
        reader.communicate()
        device.detach(done)
        assert not device.alive(done)
        device.detach(done)
    assert b"there" * 100 in path.file.read_bytes()
    with running(path):
        done = device.attach(done, str(path.socket))
    assert os.path.exists(done.path)
    device.detach(done)
    assert not device.alive(done), "also of a data path that is gone"


if __name__ == "__main__":
    main()
