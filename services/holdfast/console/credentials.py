"""`holdfast init`: a key for every user of the bus, the route token, and certificates.

Nothing that exists is replaced. The register of public keys remembers users whose seeds were moved
to their places already, so a second run mints nothing for them.
"""

import secrets
from collections.abc import Mapping
from pathlib import Path

import msgspec
import nkeys  # type: ignore[import-untyped]

from holdfast.config.model import ClusterFile
from holdfast.console import certificates
from holdfast.console.bus_config import TlsFiles
from holdfast.console.files import folder, write
from holdfast.console.permissions import PEOPLE, users
from holdfast.errors import HoldfastError

REGISTER = "public_keys.json"
ROUTE_TOKEN = "route.token"


def seed_file(out: Path, user: str) -> Path:
    """Where a user's seed lies: `<place>/<service>.nk`, `operator/operator.nk`."""
    service, _, place = user.partition("@")
    return out / (place or service) / f"{service}.nk"


def initialise(
    cluster: ClusterFile, out: Path, *, tls: bool, names: Mapping[str, list[str]] | None = None
) -> list[Path]:
    """Make what is missing under `out`; returns the files made.

    `names` are further DNS names per place, for its certificate. Raises HoldfastError when the
    folder cannot be written or holds something that is not ours.
    """
    made = []
    folder(out)
    register = _read_register(out / REGISTER)
    for user in users(cluster):
        path = seed_file(out, user)
        if path.exists():
            register[user] = public_key(path)
        elif user not in register:
            folder(path.parent)
            write(path, _new_seed())
            register[user] = public_key(path)
            made.append(path)
    token = _route_token(out / ROUTE_TOKEN)
    text = msgspec.json.format(msgspec.json.encode(register, order="sorted"), indent=2)
    write(out / REGISTER, text, 0o644)
    for place in cluster.places():
        if (out / place).is_dir():
            write(out / place / REGISTER, text, 0o644)
            write(out / place / ROUTE_TOKEN, token)
    if tls:
        made += certificates.issue_missing(cluster.places(), PEOPLE, out, names or {})
    return made


def public_key(seed: Path) -> str:
    """The nkey that belongs to a seed file. Raises HoldfastError."""
    try:
        pair = nkeys.from_seed(bytearray(seed.read_bytes().strip()))
        return bytes(pair.public_key).decode()
    except (OSError, nkeys.NkeysError, ValueError) as error:
        raise HoldfastError(
            f"not a readable nkey seed: {error}",
            place=str(seed),
            cure="restore it from its backup; or delete it and the user's line in "
            f"{REGISTER}, run `holdfast init` again and bring the new files to every place",
        ) from error


def read_register(place_secrets: Path) -> dict[str, str]:
    """Public keys of all users, from a place's secrets folder. Raises HoldfastError."""
    register = _read_register(place_secrets / REGISTER)
    if not register:
        raise HoldfastError(
            "no public keys here",
            place=str(place_secrets / REGISTER),
            cure="run `holdfast init` and bring the place's whole folder here",
        )
    return register


def read_route_token(place_secrets: Path) -> str:
    """The secret shared by the nats-servers. Raises HoldfastError."""
    path = place_secrets / ROUTE_TOKEN
    try:
        return path.read_text().strip()
    except OSError as error:
        raise HoldfastError(
            f"cannot be read: {error.strerror}",
            place=str(path),
            cure="run `holdfast init` and bring the place's whole folder here",
        ) from error


def server_tls(place_secrets: Path) -> TlsFiles | None:
    """The files of a place's nats-server, if the cluster has a CA."""
    if not (place_secrets / "ca.pem").exists():
        return None
    ca, certificate, key = (
        str((place_secrets / name).absolute()) for name in ("ca.pem", "server.pem", "server.key")
    )
    return TlsFiles(ca=ca, certificate=certificate, key=key)


def _new_seed() -> bytes:
    return bytes(nkeys.encode_seed(secrets.token_bytes(32), nkeys.PREFIX_BYTE_USER))


def _route_token(path: Path) -> str:
    if not path.exists():
        write(path, secrets.token_hex(32))
    return path.read_text().strip()


def _read_register(path: Path) -> dict[str, str]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError) as error:
        raise HoldfastError(
            f"not a readable register of public keys: {error}",
            place=str(path),
            cure="restore it, or delete it if every seed is still beside it",
        ) from error
