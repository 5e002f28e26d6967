"""Which failback windows are open at a moment of wall time: the shell asks, the core is told."""

from datetime import datetime

from holdfast.config import ClusterFile
from holdfast.config.window import parse, time_zone


def open_windows(cluster: ClusterFile, wall: datetime) -> frozenset[str]:
    """The groups whose window is open at this moment, which knows its zone."""
    local = wall.astimezone(time_zone(cluster.cluster.time_zone))
    found = set()
    for name, group in cluster.groups.items():
        window = parse(group.failback_window) if group.failback_window else None
        if window is not None and window.open_at(local):
            found.add(name)
    return frozenset(found)
