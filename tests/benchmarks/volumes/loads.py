"""What fio does to each server."""

import json
import subprocess

import msgspec

from tests.benchmarks.volumes.servers import SIZE, Served

LOADS = {
    "4k randwrite, depth 1": "--rw=randwrite --bs=4k --iodepth=1",
    "4k randwrite, depth 32": "--rw=randwrite --bs=4k --iodepth=32",
    "4k randread, depth 1": "--rw=randread --bs=4k --iodepth=1",
    "4k randread, depth 32": "--rw=randread --bs=4k --iodepth=32",
    "4k randwrite + flush, depth 1": "--rw=randwrite --bs=4k --iodepth=1 --fsync=1",
    "128k write, depth 1": "--rw=write --bs=128k --iodepth=1",
    "128k write, depth 32": "--rw=write --bs=128k --iodepth=32",
}
PATIENCE = 60.0
"""Seconds beyond the load's own, for a disk that is behind."""


class Result(msgspec.Struct, frozen=True):
    """One load on one server."""

    per_second: float
    p50: float
    """Microseconds, as p99 and cpu."""
    p99: float
    cpu: float
    """Of the server, per request."""


def measure(served: Served, load: str, seconds: float) -> Result:
    """Run fio. Raises CalledProcessError, TimeoutExpired."""
    before = served.cpu()
    command = ["fio", "--name=b", "--ioengine=nbd", f"--uri={served.uri}", *LOADS[load].split()]
    limits = [f"--size={SIZE}", "--time_based", f"--runtime={seconds}", "--output-format=json"]
    said = subprocess.run(
        [*command, *limits],
        capture_output=True,
        text=True,
        check=True,
        timeout=seconds + PATIENCE,
    ).stdout
    (job,) = json.loads(said[said.index("{") :])["jobs"]
    side = job["read" if "read" in load else "write"]
    percentile = side["clat_ns"]["percentile"]
    return Result(
        side["iops"],
        percentile["50.000000"] / 1000,
        percentile["99.000000"] / 1000,
        (served.cpu() - before) / max(side["total_ios"], 1) * 1e6,
    )
