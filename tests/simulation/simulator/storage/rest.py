"""How volumes stand when all is well again: served and whole, or refused for a true reason."""

from typing import TYPE_CHECKING

from holdfast.volumes import VolumeRecord

if TYPE_CHECKING:
    from tests.simulation.simulator.world import World

BLAMED = ("its copy of volume", "it has no copy of volume", "its storage service")
FRESH = 4.0
"""Seconds within which a client's write is acknowledged."""


def unserved(world: "World", group: str, owner: str) -> str:
    """What is missing of the volumes of a group that is active on `owner`; empty: nothing."""
    for volume in world.volumes.of(group):
        record, path = world.volumes.bucket.record(volume), world.volumes.path(owner, volume)
        if record is None or record.primary != owner:
            return f"{volume} is led by {record and record.primary}"
        if path is None or path.served is None:
            return f"{volume} is not served on {owner}"
        if world.engine.now - world.volumes.clients[volume].last > FRESH:
            said = path.said
            return f"{volume} acknowledges nothing on {owner}: {said and said.frozen}"
        for host in record.members:
            if not record.counts(host) and _runs(world, record, host):
                return f"the copy of {volume} on {host} is still behind"
    return ""


def untrue(world: "World", group: str, reason: str) -> str:
    """What is not true of a refusal that blames copies; empty: it is true, or blames none."""
    for host in complete(world, group):
        if any(f"{host}: {what}" in reason for what in BLAMED):
            return f"refused for the copy on {host}, which has everything: {reason}"
    return ""


def complete(world: "World", group: str) -> list[str]:
    """The hosts that could serve every volume of the group without a loss."""
    records = [world.volumes.bucket.record(volume) for volume in world.volumes.of(group)]
    return [
        host
        for host in world.file.groups[group].nodes
        if all(
            one is not None and host in one.in_sync and _runs(world, one, host) for one in records
        )
    ]


def _runs(world: "World", record: VolumeRecord, host: str) -> bool:
    known, copy = record.members.get(host), world.volumes.copies[host, record.volume]
    return (
        world.places[host].powered
        and known is not None
        and known.instance == copy.instance != ""
        and world.volumes.path(host, record.volume) is not None
        and world.volumes.service(host) is not None
    )
