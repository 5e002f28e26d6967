"""A record that went back in time, as with a bucket that was restored. Pure.

A copy accepts no epoch that the record did not have before. So a record below that is of the past,
and who was taken out of it since is in sync by it, and lacks acknowledged writes.
"""

from holdfast.structs import replace
from holdfast.volumes import VolumeRecord


def alone_if_of_the_past(record: VolumeRecord, node: str, accepted: int) -> VolumeRecord:
    """What a copy that is to be promoted makes of the record; `accepted`: its own epoch. Of the
    past, it says nothing about the others any more: they are compared whole."""
    if accepted <= record.epoch or node not in record.in_sync:
        return record
    return replace(record, primary=None, in_sync=[node], following=[], before=[])
