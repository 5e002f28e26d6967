"""Which members answer just now: a hint before a promotion, so that nothing waits for the dead."""

import asyncio

from holdfast.storage_replication.replicated.place import Place
from holdfast.volumes import VolumeRecord

WITHIN = 0.5
"""Seconds."""


async def answering(place: Place, record: VolumeRecord | None) -> set[str]:
    """The other in-sync members whose data path takes connections."""
    names = [name for name in (record.in_sync if record else []) if name != place.node]
    answers = await asyncio.gather(*(_answers(place, name) for name in names))
    return {name for name, answers_us in zip(names, answers, strict=True) if answers_us}


async def _answers(place: Place, name: str) -> bool:
    if name not in place.hosts:
        return False
    try:
        async with asyncio.timeout(WITHIN):
            _, writer = await asyncio.open_connection(*place.hosts[name])
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
