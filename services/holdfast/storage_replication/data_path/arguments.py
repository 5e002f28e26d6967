"""What a data path is told at its start."""

import argparse
import ipaddress
from pathlib import Path

import msgspec


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """One volume, what it is on, and where clients find it."""

    volume: str
    file: Path
    read_only: bool = False
    unix: Path | None = None
    tcp: tuple[str, int] | None = None
    secrets: Path | None = None


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
    )


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
