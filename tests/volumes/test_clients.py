"""Ordinary NBD clients, unchanged."""

import hashlib
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.data_path import DataPath
from tests.volumes.conftest import SIZE
from tests.volumes.tools import DEADLINE, absent, need, qemu_io, run

pytestmark = [pytest.mark.volumes, pytest.mark.timeout(300)]
MIB = 1024 * 1024


def test_nbdinfo_sees_what_is_offered(served: DataPath) -> None:
    need("nbdinfo")
    for uri in (served.uri, f"nbd://127.0.0.1:{served.port}/v1", f"nbd://127.0.0.1:{served.port}"):
        (export,) = json.loads(run("nbdinfo", "--json", uri))["exports"]
        assert export["export-size"] == SIZE
        assert export["contexts"] == ["base:allocation"]
        for can in ("df", "flush", "fua", "multi_conn", "trim", "zero"):
            assert export[f"can_{can}"] is True, can
        for cannot in ("cache", "fast_zero"):
            assert export[f"can_{cannot}"] is False, cannot
        assert export["block_size_maximum"] == 32 * MIB
    (listed,) = json.loads(run("nbdinfo", "--list", "--json", served.uri))["exports"]
    assert listed["export-name"] == "v1"
    assert "nothing" not in run("nbdinfo", "--map", served.uri)
    run("nbdinfo", served.uri.replace("v1?", "v2?"), code=1)


def test_nbdcopy_there_and_back(served: DataPath, tmp_path: Path) -> None:
    need("nbdcopy", "nbdinfo")
    source, back = tmp_path / "source", tmp_path / "back"
    with source.open("wb") as file:
        file.write(os.urandom(70 * MIB))
        file.seek(200 * MIB)
        file.write(os.urandom(3 * MIB + 512))
        file.truncate(SIZE)
    run("nbdcopy", "--flush", source, served.uri)
    run("nbdcopy", served.uri, back)
    assert sha256(back) == sha256(source) == sha256(served.file)
    extents = json.loads(run("nbdinfo", "--map", "--json", served.uri))
    assert sum(extent["length"] for extent in extents) == SIZE
    assert any(extent["type"] == 3 for extent in extents), "holes are told"
    run("nbdcopy", "--connections=4", "--requests=64", source, f"nbd://127.0.0.1:{served.port}/v1")
    assert sha256(served.file) == sha256(source)


def test_qemu_img(served: DataPath, tmp_path: Path) -> None:
    need("qemu-img")
    source, back = tmp_path / "source.raw", tmp_path / "back.qcow2"
    with source.open("wb") as file:
        file.truncate(SIZE)
        file.seek(31 * MIB + 512)
        file.write(os.urandom(40 * MIB))
    assert json.loads(run("qemu-img", "info", "--output=json", served.uri))["virtual-size"] == SIZE
    run("qemu-img", "convert", "-n", "-f", "raw", "-O", "raw", source, served.uri)
    assert "identical" in run("qemu-img", "compare", "-f", "raw", "-F", "raw", source, served.uri)
    run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-W", served.uri, back)
    assert "identical" in run("qemu-img", "compare", "-F", "raw", back, served.uri)
    run("qemu-img", "bench", "-f", "raw", "-w", "-c", "5000", "-d", "32", "-s", "4k", served.uri)


def test_qemu_io(served: DataPath) -> None:
    need("qemu-io")
    qemu_io(
        served.uri,
        "write -P 0xa5 0 48M",  # in requests of 32 MiB
        "read -P 0xa5 0 48M",
        "write -P 1 -f 512 1000448",
        "write -z 4M 1M",  # may not punch
        "write -z -u 8M 4M",
        "discard 16M 4M",
        "aio_write -P 2 20M 64k",
        "aio_write -P 3 21M 64k",
        "aio_flush",
        "flush",
        "read -P 1 512 1000448",
        "read -P 0 4M 1M",
        "read -P 0 8M 4M",
        "read -P 0 16M 4M",
        "read -P 2 20M 64k",
        "read -P 3 21M 64k",
        "read -P 0xa5 22M 26M",
    )
    allocated = served.file.stat().st_blocks * 512
    assert allocated <= 41 * MIB, "discarded and unmapped blocks were given back"


def test_qemu_goes_on_after_a_kill(served: DataPath) -> None:
    """QEMU's own driver, told to reconnect: the guest only sees that it takes a while."""
    need("qemu-io")
    image = (
        f"driver=raw,file.driver=nbd,file.server.type=unix,file.server.path={served.socket},"
        "file.export=v1,file.reconnect-delay=60"
    )
    with subprocess.Popen(
        ["qemu-io", "--image-opts", image], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as client:
        assert client.stdin is not None
        assert client.stdout is not None

        def say(command: str, answer: str) -> None:
            assert client.stdin is not None
            assert client.stdout is not None
            client.stdin.write(f"{command}\n")
            client.stdin.flush()
            while answer not in (line := client.stdout.readline()):
                assert line, "it ended"
                assert "failed" not in line

        for round_ in range(1, 6):
            say(f"write -f -P {round_} {round_}M 1M", "wrote 1048576/1048576")
            os.kill(served.pid, signal.SIGKILL)
            client.stdin.write(f"write -P {16 + round_} 0 1M\n")
            client.stdin.flush()
            served.kill()
            served.start()
            say(f"read -P {16 + round_} 0 1M", "read 1048576/1048576")
        for round_ in range(1, 6):
            say(f"read -P {round_} {round_}M 1M", "read 1048576/1048576")
        client.stdin.write("quit\n")
        client.stdin.close()
        assert client.wait(DEADLINE) == 0


def test_nbdkit_as_a_client(served: DataPath, tmp_path: Path) -> None:
    """nbdkit's nbd plugin passes everything through; what is behind it looks the same."""
    need("nbdkit", "nbdinfo", "qemu-io")
    script = f"nbdinfo --json $uri > {tmp_path}/info && " + (
        'qemu-io -f raw -c "write -P 9 1M 5M" -c "write -z 2M 1M" -c flush '
        '-c "read -P 9 3M 3M" -c "read -P 0 2M 1M" "$uri"'
    )
    run("nbdkit", "-U", "-", "nbd", f"uri={served.uri}", "--run", script)
    (export,) = json.loads((tmp_path / "info").read_text())["exports"]
    assert export["export-size"] == SIZE
    assert export["can_multi_conn"] is True


@pytest.mark.parametrize(
    "job",
    [
        "--rw=randwrite --bs=4k --iodepth=32 --size=64m",
        "--rw=randwrite --bsrange=512-256k --bs_unaligned=0 --iodepth=16 --size=128m",
        "--rw=write --bs=1m --iodepth=4 --size=256m --fsync=16",
        "--rw=randtrimwrite --bs=64k --iodepth=8 --size=64m",
    ],
)
def test_fio_verifies_what_it_wrote(served: DataPath, job: str) -> None:
    need("fio")
    if "nbd" not in run("fio", "--enghelp"):
        absent("this fio has no nbd engine")
    verify = ["--verify=crc32c", "--do_verify=1", "--verify_fatal=1", "--verify_backlog=512"]
    verify += ["--verify_state_save=0"]  # into the folder that the tests run in
    said = run("fio", "--name=v", "--ioengine=nbd", f"--uri={served.uri}", *job.split(), *verify)
    assert "err= 0" in said


def sha256(path: Path) -> str:
    """Of the whole file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
