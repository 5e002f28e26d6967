"""`holdfast volume attach` and `detach`: a volume as a disk of this host, outside any group."""

import os
import socket
from pathlib import Path
from urllib.parse import quote

import msgspec
from rich.console import Console
from rich.markup import escape

from holdfast import unix_path
from holdfast.console.attaching import device, file
from holdfast.console.attaching.record import AttachError, Attachment, Shelf
from holdfast.console.volume_ask import serving
from holdfast.console.whereabouts import HERE, Which
from holdfast.wire.volumes import VolumeStatus

ANSWER = 5.0
"""Seconds that a data path may take to let a client in."""


async def attach(
    volume: str,
    /,
    *,
    uri: bool = False,
    at: Path | None = None,
    json: bool = False,
    which: Which = HERE,
) -> int:
    """Make a volume a disk of this host, where its group runs, and print its path.

    A block device if the kernel has nbd (root, nbd-client), else a file (nbdfuse). Again: the same.
    Exit code 0: it is there; 1: this host has neither, only the URI is said.

    Parameters
    ----------
    volume
        The volume.
    uri
        Attach nothing; print the URI at which any NBD client on this host finds it.
    at
        The folder for the file and what is noted: default /run/holdfast/volumes, or of a user who
        is not root $XDG_RUNTIME_DIR/holdfast/volumes.
    json
        Print the outcome as JSON: volume, how (device, file, uri), path and uri.
    """
    bus = await which.connect()
    try:
        found = await serving(bus, volume)
    finally:
        await bus.close()
    door = door_of(found)
    address = uri_of(found)
    if uri:
        return _say(Outcome(volume=volume, how="uri", uri=address), json=json)
    shelf = Shelf(at)
    with shelf.locked(volume):
        done = _attached(shelf, found, address, door)
    if done is not None:
        return _say(Outcome(volume=volume, how=done.how, path=done.path, uri=address), json=json)
    _say(Outcome(volume=volume, how="uri", uri=address), json=json)
    Console(stderr=True, highlight=False, soft_wrap=True).print(
        "[yellow]not attached:[/] this host has neither the nbd driver and nbd-client (root), nor "
        "nbdfuse and /dev/fuse; NBD clients find the volume at the URI"
    )
    return 1


async def detach(volume: str, /, *, at: Path | None = None, json: bool = False) -> int:
    """Undo `attach`. Needs no cluster. Exit code 0: done; 1: it was not attached; 2: it is in use.

    Parameters
    ----------
    volume
        The volume.
    at
        As given to `attach`.
    json
        Print the outcome as JSON: volume, how and path of what was undone; path empty: nothing.
    """
    shelf = Shelf(at)
    with shelf.locked(volume):
        known = shelf.read(volume)
        if known is not None:
            _undo(shelf, known)
    if json:
        told = Outcome(volume=volume, how=known.how, path=known.path) if known else None
        Console().out(msgspec.json.encode(told or Outcome(volume=volume)).decode())
    elif known is None:
        Console(highlight=False).print(f"{escape(volume)} is not attached here")
    else:
        Console(highlight=False).print(f"detached: {escape(known.path)}")
    return 0 if known else 1


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What `--json` prints."""

    volume: str
    how: str = ""
    path: str = ""
    uri: str = ""


def _say(outcome: Outcome, *, json: bool) -> int:
    text = msgspec.json.encode(outcome).decode() if json else outcome.path or outcome.uri
    Console().out(text)
    return 0


def _attached(shelf: Shelf, found: VolumeStatus, uri: str, door: str) -> Attachment | None:
    """None: this host has nothing to attach it with. Raises AttachError, FileError."""
    volume = found.pulse.volume
    known = shelf.read(volume)
    if known is not None:
        if (known.uri, known.door) == (uri, door) and _alive(known):
            return known
        _undo(shelf, known)
    if device.possible():
        wanted = Attachment(
            volume=volume, uri=uri, how="device", path=str(device.free()), door=door
        )
    elif file.possible():
        path = str(shelf.file_of(volume))
        wanted = Attachment(volume=volume, uri=uri, how="file", path=path, door=door)
    else:
        return None
    shelf.keep(wanted)
    try:
        if wanted.how == "device":
            done = device.attach(wanted, found.pulse.socket)
        else:
            done = file.attach(wanted)
    except AttachError:
        shelf.forget(volume)
        raise
    shelf.keep(done)
    return done


def _alive(known: Attachment) -> bool:
    return device.alive(known) if known.how == "device" else file.alive(known)


def _undo(shelf: Shelf, known: Attachment) -> None:
    """Raises AttachError, FileError."""
    if known.how == "device":
        device.detach(known)
    else:
        file.detach(known)
    shelf.forget(known.volume)


def uri_of(found: VolumeStatus) -> str:
    return f"nbd+unix:///{quote(found.pulse.export, '')}?socket={quote(found.pulse.socket)}"


def door_of(found: VolumeStatus) -> str:
    """Which socket its primary has on this host. Raises AttachError: none."""
    volume, node, path = found.pulse.volume, found.node, found.pulse.socket
    if not path:
        raise AttachError(
            f"{node} does not say where it serves it",
            place=f"volume {volume}",
            cure=f"update storage_replication on {node}: it is older than this command",
        )
    try:
        with socket.socket(socket.AF_UNIX) as probe, unix_path.address(Path(path)) as short:
            probe.settimeout(ANSWER)
            probe.connect(short)
            about = os.stat(short)
    except PermissionError as error:
        raise AttachError(
            "only the user of its data path may use it",
            place=path,
            cure="be that user, or root",
        ) from error
    except OSError as error:
        raise AttachError(
            f"{node} serves volume {volume}, and nobody does on this host: {error.strerror}",
            place=path,
            cure=f"run this on {node}, or first move its group here: "
            "`holdfast switchover GROUP --to NODE`",
        ) from error
    return f"{about.st_ino}.{about.st_ctime_ns}"
