"""A member's disk at the start of its data path: made if it is new, opened, confirmed."""

import logging
import os
from pathlib import Path

from holdfast.errors import HoldfastError
from holdfast.storage_replication.blocks import identity
from holdfast.storage_replication.blocks.blank import is_blank
from holdfast.storage_replication.blocks.errors import BackingError
from holdfast.storage_replication.blocks.rawfile import RawFile
from holdfast.storage_replication.blocks.smallfile import SmallFile
from holdfast.storage_replication.data_path.arguments import MemberSettings
from holdfast.storage_replication.data_path.waiting import ended
from holdfast.storage_replication.disk import backing
from holdfast.storage_replication.disk import superblock as superblocks
from holdfast.storage_replication.disk.errors import DiskRefused
from holdfast.storage_replication.disk.files import FolderStore
from holdfast.storage_replication.disk.geometry import Geometry
from holdfast.storage_replication.disk.member import MemberDisk, create, open_member
from holdfast.storage_replication.files import sync_folder

_log = logging.getLogger("holdfast.volume")


def open_disk(path: Path, given: MemberSettings, boot: str) -> tuple[RawFile, MemberDisk]:
    """Not confirmed yet. Raises HoldfastError."""
    place = str(given.folder)
    try:
        given.folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        store = FolderStore(given.folder, SmallFile)
        new = superblocks.load(store, place) is None
        if new:
            # Only then: later, a file that is missing means that its file system is.
            _make_file(path, given.size)
        file = RawFile(path)
        try:
            return file, _open_member(store, file, given, boot, new=new)
        except BaseException:
            file.close()
            raise
    except OSError as error:
        raise _unusable(place, error) from error


def _open_member(
    store: FolderStore, file: RawFile, given: MemberSettings, boot: str, *, new: bool
) -> MemberDisk:
    place = str(given.folder)
    if new and given.blank:
        _require_blank(store, file)
    _tie(store, file, place, new)
    if new:
        create(
            store,
            file,
            uuid=given.uuid,
            member=given.member,
            size=given.size,
            geometry=Geometry(),
        )
    undo = given.undo_limit or file.size + file.size // 100 + (1 << 20)
    disk = open_member(store, file, place=place, boot=boot, undo_limit=undo)
    own = disk.superblock
    if (own.uuid, own.member) != (given.uuid, given.member):
        raise DiskRefused(
            f"it is member {own.member} of volume {own.uuid}, not {given.member} of {given.uuid}",
            place=place,
            cure="give each member a folder of its own; remove it if its volume is gone",
        )
    return disk


async def confirmed(disk: MemberDisk) -> None:
    """What was read is durable. Raises HoldfastError."""
    if error := await ended(disk.confirm):
        raise _unusable(disk.superblock.member, OSError(error, os.strerror(error)))


def _require_blank(store: FolderStore, file: RawFile) -> None:
    """All of it will be overwritten. What a copy here was on before may be."""
    before = backing.tied(store) and backing.same(store, identity.identity(file.fileno()))
    if not before and not is_blank(file.fileno()):
        raise DiskRefused(
            "it holds data, which would be overwritten with another copy's",
            place=str(file.path),
            cure=f"{file.path} holds data, which this copy would overwrite: move it away, wipe it, "
            "or `holdfast volume members remove`, then `add --overwrite`",
        )


def _tie(store: FolderStore, file: RawFile, place: str, new: bool) -> None:
    """Before it is a member, or one that an older Holdfast made; later it must be the same."""
    if new or not backing.tied(store):
        identity.mark(file.fileno())
        backing.tie(store, identity.identity(file.fileno()))
    found = identity.identity(file.fileno())
    backing.require(store, found, place=place, file=str(file.path))
    if not found:
        _log.warning("%s tells no serial number: if another has its name, nobody sees", file.path)


def _make_file(path: Path, size: int) -> None:
    if path.exists():
        return
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.ftruncate(fd, size)
        os.fsync(fd)
    finally:
        os.close(fd)
    sync_folder(path.parent)


def _unusable(place: str, error: OSError) -> HoldfastError:
    return BackingError(
        f"cannot use it: {error.strerror}",
        place=str(error.filename or place),
        cure="it must be writable by this user and have room",
    )
