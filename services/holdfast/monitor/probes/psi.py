"""Pressure (PSI): how much of the last ten seconds somebody waited for cpu, memory or io.

The kernel can also wake a waiter by itself (triggers, polled on the same files), but only for one
with CAP_SYS_RESOURCE, which the monitor neither has nor needs: it reads at its interval.
"""

from pathlib import Path

from holdfast.config.model import Thresholds
from holdfast.monitor.probes.base import Probe, ProbeUnavailable
from holdfast.monitor.probes.host import PROC, host_subject, read_kernel_file
from holdfast.monitor.probes.sampling import Sample, SamplingProbe, Threshold

RESOURCES = ("cpu", "memory", "io")


def probes(node: str, thresholds: Thresholds, root: Path = PROC / "pressure") -> list[Probe]:
    """One probe per kind of pressure."""
    return [_probe(node, thresholds, root / resource) for resource in RESOURCES]


def _probe(node: str, thresholds: Thresholds, path: Path) -> Probe:
    level = thresholds.pressure_degraded

    async def measure() -> Sample:
        text = read_kernel_file(path, "run a kernel with PSI (CONFIG_PSI=y, boot with psi=1)")
        measured = parse(text, place=str(path))
        waiting = measured["some_avg10_percent"]
        reason = f"{path.name} pressure {waiting:.1f} % (degraded from {level:g} %)"
        return Sample(value=waiting, reason=reason, measurements=measured)

    subject = host_subject(node, f"pressure-{path.name}")
    return SamplingProbe(subject, Threshold.above(level), thresholds.interval, measure)


def parse(text: str, *, place: str) -> dict[str, float]:
    """The percentages of a pressure file. Raises ProbeUnavailable if it reads otherwise."""
    measured: dict[str, float] = {}
    try:
        for line in text.splitlines():
            kind, *fields = line.split()
            pairs = dict(field.split("=", 1) for field in fields)
            for window in ("avg10", "avg60", "avg300"):
                measured[f"{kind}_{window}_percent"] = float(pairs[window])
        measured["some_avg10_percent"]
    except (ValueError, KeyError) as error:
        raise ProbeUnavailable(
            f"not the format of a pressure file: {error!r}",
            place=place,
            cure="report this kernel's version to the Holdfast project",
        ) from error
    return measured
