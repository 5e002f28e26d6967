"""Load per core, and beside it steal time: what a neighbour on the same hypervisor took."""

import os
from pathlib import Path

from holdfast.config.model import Thresholds
from holdfast.monitor.probes.base import Probe, ProbeUnavailable
from holdfast.monitor.probes.host import PROC, host_subject, read_kernel_file
from holdfast.monitor.probes.sampling import Sample, SamplingProbe, Threshold

_STEAL = 7
_GUEST = 8
"""Fields from here on, guest time, are already counted in user and nice."""


def probe(node: str, thresholds: Thresholds, root: Path = PROC) -> Probe:
    """The probe of load per core."""
    level = thresholds.load_per_core_degraded
    before: list[int] = []

    async def measure() -> Sample:
        nonlocal before
        one_minute = parse_load(read_kernel_file(root / "loadavg", "mount /proc"))
        ticks = parse_cpu_ticks(read_kernel_file(root / "stat", "mount /proc"))
        steal = steal_percent(before, ticks)
        before = ticks
        per_core = one_minute / (os.cpu_count() or 1)
        return Sample(
            value=per_core,
            reason=f"load {per_core:.2f} per core (degraded from {level:g}), steal {steal:.1f} %",
            measurements={"load_per_core": per_core, "steal_percent": steal},
        )

    subject = host_subject(node, "load")
    return SamplingProbe(subject, Threshold.above(level), thresholds.interval, measure)


def parse_load(text: str) -> float:
    """The one-minute load average. Raises ProbeUnavailable."""
    try:
        return float(text.split()[0])
    except (ValueError, IndexError) as error:
        raise _unreadable("loadavg", error) from error


def parse_cpu_ticks(text: str) -> list[int]:
    """The ticks of all cores since boot, by kind, from /proc/stat. Raises ProbeUnavailable."""
    try:
        name, *ticks = text.splitlines()[0].split()
        if name != "cpu" or len(ticks) <= _STEAL:
            raise ValueError(text[:100])
        return [int(tick) for tick in ticks]
    except (ValueError, IndexError) as error:
        raise _unreadable("stat", error) from error


def steal_percent(before: list[int], after: list[int]) -> float:
    """Share of steal between two readings, in percent; of all time since boot without a first."""
    spent = [now - then for now, then in zip(after, before or [0] * len(after), strict=True)]
    total = sum(spent[:_GUEST])
    return max(0.0, 100 * spent[_STEAL] / total) if total > 0 else 0.0


def _unreadable(name: str, error: Exception) -> ProbeUnavailable:
    return ProbeUnavailable(
        f"not the format expected: {error!r}",
        place=str(PROC / name),
        cure="report this kernel's version to the Holdfast project",
    )
