"""Going back to the last consistent state of a member whose resync cannot be completed."""

from holdfast.errors import HoldfastError
from holdfast.storage_replication.disk.member import MemberDisk
from holdfast.storage_replication.interfaces import Done


class FallbackRefused(HoldfastError):
    """There is nothing to go back to. Says why, and what else there is."""


def fall_back(disk: MemberDisk, done: Done) -> None:
    """Undo what a resync overwrote; durable when done, and repeated after a crash if it was not.

    Nobody else uses the disk meanwhile. The record must not count on this member. Its extents
    become active, so that whoever is compared with it finds what was undone. Raises
    FallbackRefused, OSError.
    """
    undo, own = disk.undo, disk.superblock
    if not (own.resyncing and own.fallback) or undo is None:
        raise FallbackRefused(
            "its undo log is gone" if own.resyncing else "it is in no resync",
            place=f"volume member {own.member}",
            cure="let the resync end; without a primary, restore the volume from a backup"
            if own.resyncing
            else "promote it, accepting what it lacks",
        )
    geometry = disk.geometry
    # Saved behind the end of a volume that is smaller now: nobody's.
    count = geometry.chunks(own.size)
    saved = [chunk for chunk in undo.saved if chunk < count]
    extents = sorted({chunk * geometry.chunk // geometry.extent for chunk in saved})

    def activated() -> None:
        if disk.failed:
            done(disk.failed)
            return
        try:
            for chunk, data in undo.entries():
                if chunk >= count:
                    continue
                disk.file.pwrite(chunk * geometry.chunk, data)
            disk.file.sync(synced)
        except OSError as error:
            synced(error.errno or 5)

    def synced(error: int) -> None:
        try:
            if not error:
                disk.change(resyncing=False, fallback=False)
                disk.drop_undo()
        except OSError as failed:
            error = failed.errno or 5
        if error:
            disk.fail(error)
        done(error)

    disk.activity.unsettle()
    disk.activity.activate(extents, activated)
