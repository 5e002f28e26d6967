"""What a data path is told at its start."""

import argparse
import ipaddress
from pathlib import Path

import msgspec


class MemberSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Of a replicated volume's member. At the first start they make it; later they must fit."""

    folder: Path
    member: str
    uuid: str
    size: int
    listen: tuple[str, int]
    blank: bool = False
    """At the first start: refuse a file or device that holds something, unless it is what the
    member on this node was on before."""
    undo_limit: int = 0
    """Bytes; 0: enough for all of the volume."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """One volume, what it is on, and where clients find it."""

    volume: str
    file: Path
    read_only: bool = False
    unix: Path | None = None
    tcp: tuple[str, int] | None = None
    secrets: Path | None = None
    member: MemberSettings | None = None
    """None: the volume has no replicas."""


def parse(given: list[str] | None = None) -> Settings:
    """From the command line. Exits with 2 when something is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m holdfast.storage_replication.data_path",
        epilog="exit codes: 0 stopped by SIGTERM or SIGINT; 2 cannot start; 3 the storage failed",
    )
    parser.add_argument("--volume", required=True, help="its name, which is the export's")
    parser.add_argument("--file", type=Path, required=True, help="a raw file or block device")
    parser.add_argument("--read-only", action="store_true", help="refuse every change")
    parser.add_argument("--unix", type=Path, metavar="PATH", help="the socket for clients here")
    parser.add_argument("--tcp", type=_address, metavar="HOST:PORT", help="for clients elsewhere")
    parser.add_argument(
        "--secrets", type=Path, metavar="DIR", help="the place's folder: TLS on TCP"
    )
    replicated = parser.add_argument_group("a member of a replicated volume")
    replicated.add_argument("--folder", type=Path, help="its own files, and control.sock")
    replicated.add_argument("--member", metavar="NODE", help="its name")
    replicated.add_argument("--uuid", help="the volume's")
    replicated.add_argument("--size", type=_size, help="the volume's, in bytes, at the first start")
    replicated.add_argument("--listen", type=_address, metavar="HOST:PORT", help="for members")
    replicated.add_argument("--blank", action="store_true", help="at the first start: lose no data")
    replicated.add_argument("--undo-limit", type=int, default=0, metavar="BYTES")
    found = parser.parse_args(given)
    if found.unix is None and found.tcp is None:
        parser.error("at least one of --unix and --tcp is needed")
    if found.tcp and not found.secrets and not _is_loopback(found.tcp[0]):
        parser.error("--tcp needs --secrets, except on a loopback address")
    return Settings(
        volume=found.volume,
        file=found.file,
        read_only=found.read_only,
        unix=found.unix,
        tcp=found.tcp,
        secrets=found.secrets,
        member=_member(parser, found),
    )


def _member(parser: argparse.ArgumentParser, found: argparse.Namespace) -> MemberSettings | None:
    wanted = (found.folder, found.member, found.uuid, found.size, found.listen)
    if not any(wanted):
        return None
    if not all(wanted):
        parser.error("a member needs --folder, --member, --uuid, --size and --listen")
    if found.read_only:
        parser.error("--read-only is for volumes without replicas")
    if not found.secrets and not _is_loopback(found.listen[0]):
        parser.error("--listen needs --secrets, except on a loopback address")
    return MemberSettings(
        folder=found.folder,
        member=found.member,
        uuid=found.uuid,
        size=found.size,
        listen=found.listen,
        blank=found.blank,
        undo_limit=found.undo_limit,
    )


def _size(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) == 0 or int(text) % 512:
        raise argparse.ArgumentTypeError(f"{text!r} is not a multiple of 512")
    return int(text)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT, for example 10.0.0.1:10809")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # a name may mean anything
