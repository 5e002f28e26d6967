"""Every probe, by layer: the one list of what the monitor looks at. A new probe is added here."""

from pathlib import Path

from holdfast import checks
from holdfast.config.model import ClusterFile, ProcessCheck, Resource
from holdfast.events.fields import Layer, resource_entity
from holdfast.monitor.observation import Subject
from holdfast.monitor.probes import disk, load, memory, psi
from holdfast.monitor.probes.asking import AskingProbe
from holdfast.monitor.probes.base import Probe, Report, Unable
from holdfast.monitor.probes.links import LinksProbe
from holdfast.monitor.probes.process import ProcessProbe
from holdfast.wire import WatchedResource

__all__ = ["Probe", "Report", "host_probes", "resource_probes"]


def host_probes(cluster: ClusterFile, node: str, state: Path) -> list[Probe]:
    """The probes of the host itself; the network's other half, `peers`, needs the bus as well."""
    return [
        *psi.probes(node, cluster.monitor),
        memory.probe(node, cluster.monitor),
        load.probe(node, cluster.monitor),
        *disk.probes(node, cluster, state),
        LinksProbe(node),
    ]


def resource_probes(cluster: ClusterFile, node: str, watched: WatchedResource) -> list[Probe]:
    """The probes of one running resource: its process, if it has one, and its checks."""
    resource = _configured(cluster, watched)
    if resource is None:
        reason = "this monitor's cluster file does not know the resource: its checks do not run"
        unknown: list[Probe] = [Unable(_subject(node, watched, "checks"), reason)]
        return [*_process(node, watched), *unknown]
    found = _process(node, watched)
    if not found and any(isinstance(check, ProcessCheck) for check in resource.checks):
        reason = "a process check, but this kind of resource has no process of its own"
        found.append(Unable(_subject(node, watched, "process"), reason))
    for number, check in enumerate(resource.checks, start=1):
        if not isinstance(check, ProcessCheck):
            subject = _subject(node, watched, f"{checks.kind(check)}-{number}")
            found.append(AskingProbe(subject, check))
    return found


def _process(node: str, watched: WatchedResource) -> list[Probe]:
    if watched.pid == 0:
        return []
    return [ProcessProbe(_subject(node, watched, "process"), watched.pid)]


def _configured(cluster: ClusterFile, watched: WatchedResource) -> Resource | None:
    group = cluster.groups.get(watched.group)
    return group.resources.get(watched.resource) if group else None


def _subject(node: str, watched: WatchedResource, probe: str) -> Subject:
    return Subject(
        entity=resource_entity(watched.group, watched.resource),
        node=node,
        layer=Layer.APPLICATION,
        probe=probe,
        instance=watched.instance,
    )
