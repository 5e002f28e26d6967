"""Memory that could still be had without swapping, in percent of all."""

from pathlib import Path

from holdfast.config.model import Thresholds
from holdfast.monitor.probes.base import Probe, ProbeUnavailable
from holdfast.monitor.probes.host import PROC, host_subject, read_kernel_file
from holdfast.monitor.probes.sampling import Sample, SamplingProbe, Threshold


def probe(node: str, thresholds: Thresholds, path: Path = PROC / "meminfo") -> Probe:
    """The probe of available memory."""
    level = thresholds.memory_available_degraded

    async def measure() -> Sample:
        text = read_kernel_file(path, "mount /proc")
        return parse(text, level, place=str(path))

    subject = host_subject(node, "memory")
    return SamplingProbe(subject, Threshold.below(level), thresholds.interval, measure)


def parse(text: str, level: float, *, place: str) -> Sample:
    """The sample in a meminfo file. Raises ProbeUnavailable if a field is missing."""
    try:
        fields = dict(line.split(":", 1) for line in text.splitlines())
        kib = {name: float(fields[name].split()[0]) for name in ("MemTotal", "MemAvailable")}
        percent = 100 * kib["MemAvailable"] / kib["MemTotal"]
    except (ValueError, KeyError, IndexError, ZeroDivisionError) as error:
        raise ProbeUnavailable(
            f"no memory sizes in it: {error!r}",
            place=place,
            cure="run a kernel of version 3.14 or later with /proc mounted",
        ) from error
    return Sample(
        value=percent,
        reason=f"{percent:.1f} % of memory available (degraded from {level:g} %)",
        measurements={
            "available_percent": percent,
            "available_mib": kib["MemAvailable"] / 1024,
            "total_mib": kib["MemTotal"] / 1024,
        },
    )
