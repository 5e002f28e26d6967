"""What the probes of the host's own operating system have in common."""

from pathlib import Path

from holdfast.events.fields import Layer, node_entity
from holdfast.monitor.observation import Subject
from holdfast.monitor.probes.base import ProbeUnavailable

PROC = Path("/proc")


def host_subject(node: str, probe: str) -> Subject:
    """A subject of the layer host_os."""
    return Subject(entity=node_entity(node), node=node, layer=Layer.HOST_OS, probe=probe)


def read_kernel_file(path: Path, cure: str) -> str:
    """A file of /proc. Raises ProbeUnavailable with the cure if the kernel does not offer it."""
    try:
        return path.read_text(encoding="ascii")
    except OSError as error:
        raise ProbeUnavailable(error.strerror or str(error), place=str(path), cure=cure) from error
