"""An operator's signed word about a node: who may give it, and what is signed.

The signature is by the nkey with which operators enter the bus. It covers the cluster, the boot
that is meant, what is said of it and when, so it is worth nothing for another boot or another
cluster, nor some minutes later. Wall time can make a word not count, and nothing else.
"""

import base64
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec
import nkeys  # type: ignore[import-untyped]
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from holdfast.errors import HoldfastError
from holdfast.wire import FenceRequest

REGISTER = "public_keys.json"
"""In every place's secrets folder: the public keys of all users of the bus, by name."""
OPERATOR = "operator"
"""Keys that operators had before stay in the register as `operator-...`, for `audit verify`."""
LASTS = 600.0
"""Seconds between signing and hearing, by two wall clocks, in either direction."""


class WordError(HoldfastError):
    """A word that cannot be signed, or does not count."""


def sign(
    seed: Path,
    *,
    cluster: str,
    action: Literal["confirm", "allow"],
    node: str,
    boot: str,
    operator: str,
    now: datetime,
) -> FenceRequest:
    """The request, signed at the wall time `now`. Raises WordError when the seed cannot be read."""
    try:
        pair = nkeys.from_seed(bytearray(seed.read_bytes().strip()))
        key = bytes(pair.public_key).decode()
        unsigned = FenceRequest(
            action=action,
            node=node,
            boot=boot,
            operator=operator,
            key=key,
            signature="",
            signed_at=now.astimezone(UTC).isoformat(timespec="seconds"),
        )
        signature = base64.b64encode(pair.sign(text(unsigned, cluster).encode())).decode()
    except (OSError, nkeys.NkeysError, ValueError) as error:
        cure = "give the secrets folder that holds operator/operator.nk"
        raise WordError(f"cannot sign with it: {error}", place=str(seed), cure=cure) from error
    return msgspec.structs.replace(unsigned, signature=signature)


def verify(request: FenceRequest, *, cluster: str, secrets: Path, now: datetime) -> None:
    """Returns if the word is an operator's of this cluster, given lately. Raises WordError.

    `secrets` is the secrets folder of this place, `now` its wall time.
    """
    place = str(secrets / REGISTER)
    cure = "run `holdfast init` and bring the folder of this place here"
    try:
        known = msgspec.json.decode((secrets / REGISTER).read_bytes(), type=dict[str, str])
    except (OSError, msgspec.DecodeError) as error:
        raise WordError(f"operators cannot be known: {error}", place=place, cure=cure) from error
    if known.get(OPERATOR) != request.key:
        raise WordError("the key is not the operator's", place=place, cure=cure)
    if not fits(text(request, cluster), key=request.key, signature=request.signature):
        cure = "ask again with `holdfast fence`, with the operator's own key"
        raise WordError("the signature does not fit", place=request.key, cure=cure)
    if not _lately(request.signed_at, now):
        at = f"signed at {request.signed_at or 'no time'}, heard at {now.isoformat()}"
        cure = "say it again; if it was said just now, set the clocks of both machines"
        raise WordError(f"it does not count any more: {at}", place=request.key, cure=cure)


def text(request: FenceRequest, cluster: str) -> str:
    """What is signed: every word of it, in one order."""
    words = [
        cluster,
        request.action,
        request.node,
        request.boot,
        request.operator,
        request.key,
        request.signed_at,
    ]
    return msgspec.json.encode(["holdfast fence 2", *words]).decode()


def fits(signed: str, *, key: str, signature: str) -> bool:
    """Whether whoever has the key signed this text."""
    try:
        _public(key).verify(base64.b64decode(signature, validate=True), signed.encode())
    except (InvalidSignature, ValueError):
        return False
    return True


def operators(register: Path) -> frozenset[str] | None:
    """The public keys that are, or were, operators'. None if the file cannot be read."""
    try:
        known = msgspec.json.decode(register.read_bytes(), type=dict[str, str])
    except (OSError, msgspec.DecodeError):
        return None
    former = f"{OPERATOR}-"
    return frozenset(
        key for name, key in known.items() if name == OPERATOR or name.startswith(former)
    )


def _lately(signed_at: str, now: datetime) -> bool:
    try:
        age = (now - datetime.fromisoformat(signed_at)).total_seconds()
    except (ValueError, TypeError):  # no time, or one without a zone
        return False
    return abs(age) <= LASTS


def _public(key: str) -> Ed25519PublicKey:
    """The key behind an nkey: base32 of a prefix, the key itself and a checksum. ValueError."""
    raw = base64.b32decode(key + "=" * (-len(key) % 8))
    return Ed25519PublicKey.from_public_bytes(raw[1:-2])
