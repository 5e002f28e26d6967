"""Every load on every server, as a table: `make bench WHAT=volumes N=3`.

Each round measures all servers one after the other, so that what else the machine does falls on
all of them; the median round counts. Needs fio with its nbd engine, nbdkit, qemu-storage-daemon.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from tests.benchmarks.volumes.servers import Served, names, serving

LOADS = {
    "4k randwrite, depth 1": "--rw=randwrite --bs=4k --iodepth=1",
    "4k randwrite, depth 32": "--rw=randwrite --bs=4k --iodepth=32",
    "4k randread, depth 1": "--rw=randread --bs=4k --iodepth=1",
    "4k randread, depth 32": "--rw=randread --bs=4k --iodepth=32",
    "4k randwrite + flush, depth 1": "--rw=randwrite --bs=4k --iodepth=1 --fsync=1",
    "128k write, depth 1": "--rw=write --bs=128k --iodepth=1",
    "128k write, depth 32": "--rw=write --bs=128k --iodepth=32",
}


class Result(msgspec.Struct, frozen=True):
    """One load on one server."""

    per_second: float
    p50: float
    """Microseconds, as p99 and cpu."""
    p99: float
    cpu: float
    """Of the server, per request."""


def measure(served: Served, load: str, seconds: int) -> Result:
    """Run fio. Raises CalledProcessError."""
    before = served.cpu()
    command = ["fio", "--name=b", "--ioengine=nbd", f"--uri={served.uri}", *load.split()]
    limits = ["--size=1g", "--time_based", f"--runtime={seconds}", "--output-format=json"]
    said = subprocess.run([*command, *limits], capture_output=True, text=True, check=True).stdout
    (job,) = json.loads(said[said.index("{") :])["jobs"]
    side = job["read" if "read" in load else "write"]
    percentile = side["clat_ns"]["percentile"]
    return Result(
        side["iops"],
        percentile["50.000000"] / 1000,
        percentile["99.000000"] / 1000,
        (served.cpu() - before) / max(side["total_ios"], 1) * 1e6,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.volumes")
    parser.add_argument("--runs", type=int, default=3, help="rounds; the median counts")
    parser.add_argument("--folder", type=Path, default=tempfile.gettempdir(), help="on which disk")
    parser.add_argument("--seconds", type=int, default=5, help="of each load")
    given = parser.parse_args()
    found: dict[tuple[str, str], list[Result]] = {}
    with tempfile.TemporaryDirectory(dir=given.folder) as scratch:
        for _ in range(given.runs):
            for name in names():
                with serving(name, Path(scratch)) as served:
                    for load, options in LOADS.items():
                        result = measure(served, options, given.seconds)
                        found.setdefault((load, name), []).append(result)
    sys.stdout.write(
        f"{'load':32}{'server':22}{'per s':>10}{'p50 µs':>10}{'p99 µs':>10}{'CPU µs':>10}\n"
    )
    for load in LOADS:
        for name in names():
            figures = (
                statistics.median(getattr(result, field) for result in found[load, name])
                for field in ("per_second", "p50", "p99", "cpu")
            )
            sys.stdout.write(f"{load:32}{name:22}{''.join(f'{f:>10.0f}' for f in figures)}\n")


if __name__ == "__main__":
    main()
