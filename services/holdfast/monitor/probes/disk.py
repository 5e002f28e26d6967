"""Free space of the filesystems Holdfast and the volumes live on."""

import os
from pathlib import Path

from holdfast.config.model import ClusterFile
from holdfast.config.volumes import DirectoryVolume
from holdfast.events.fields import Layer, volume_entity
from holdfast.monitor.observation import Subject
from holdfast.monitor.probes.base import Probe, ProbeUnavailable
from holdfast.monitor.probes.host import host_subject
from holdfast.monitor.probes.patient import PatientCall
from holdfast.monitor.probes.sampling import Sample, SamplingProbe, Threshold

STATE_DEADLINE = 3.0
"""Seconds within which the filesystem of the state folder must answer."""


def probes(node: str, cluster: ClusterFile, state: Path) -> list[Probe]:
    """One probe for the state folder, one for each volume's folder, or that of its member here."""
    level, interval = cluster.monitor.disk_free_degraded, cluster.monitor.interval
    threshold = Threshold.below(level)
    found: list[Probe] = [
        SamplingProbe(
            host_subject(node, "disk"), threshold, interval, _Measure(state, STATE_DEADLINE, level)
        )
    ]
    for name, volume in cluster.volumes.items():
        subject = Subject(entity=volume_entity(name), node=node, layer=Layer.STORAGE, probe="disk")
        if isinstance(volume, DirectoryVolume):
            measure = _Measure(Path(volume.path), volume.probe_deadline, level)
        elif node in volume.members:
            folder = Path(volume.members[node].path).parent
            measure = _Measure(folder, STATE_DEADLINE, level)
        else:
            continue
        found.append(SamplingProbe(subject, threshold, interval, measure))
    return found


class _Measure:
    """Asks a filesystem how full it is; one that hangs, such as a dead NFS server, is left be."""

    def __init__(self, path: Path, deadline: float, level: float) -> None:
        self._path, self._deadline, self._level = path, deadline, level
        self._statvfs = PatientCall(lambda: os.statvfs(path))

    async def __call__(self) -> Sample:
        try:
            answer = await self._statvfs(self._deadline)
        except TimeoutError:
            raise ProbeUnavailable(
                f"the filesystem has not answered within {self._deadline:g} s",
                place=str(self._path),
                cure="is the storage behind it reachable?",
            ) from None
        except OSError as error:
            raise ProbeUnavailable(
                error.strerror or str(error),
                place=str(self._path),
                cure="create or mount it on this node",
            ) from error
        return sample(answer, self._level, place=str(self._path))


def sample(answer: os.statvfs_result, level: float, *, place: str) -> Sample:
    """Space and inodes that the unprivileged may still use; the scarcer of them counts."""
    space = 100 * answer.f_bavail / answer.f_blocks if answer.f_blocks else 100.0
    inodes = 100 * answer.f_favail / answer.f_files if answer.f_files else 100.0
    scarcer = "space" if space <= inodes else "inodes"
    free = min(space, inodes)
    return Sample(
        value=free,
        reason=f"{free:.1f} % of {scarcer} free at {place} (degraded from {level:g} %)",
        measurements={
            "space_free_percent": space,
            "inodes_free_percent": inodes,
            "space_free_mib": answer.f_bavail * answer.f_frsize / 2**20,
        },
    )
