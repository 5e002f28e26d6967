"""An operator's signed word about a node: who may give it, and what is signed.

The signature is by the nkey with which operators enter the bus. It covers the cluster, the boot
that is meant and what is said of it, so it is worth nothing for another boot or another cluster.
"""

import base64
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
) -> FenceRequest:
    """The request with its signature. Raises WordError when the seed cannot be read."""
    try:
        pair = nkeys.from_seed(bytearray(seed.read_bytes().strip()))
        key = bytes(pair.public_key).decode()
        unsigned = FenceRequest(
            action=action, node=node, boot=boot, operator=operator, key=key, signature=""
        )
        signature = base64.b64encode(pair.sign(_signed(unsigned, cluster))).decode()
    except (OSError, nkeys.NkeysError, ValueError) as error:
        cure = "give the secrets folder that holds operator/operator.nk"
        raise WordError(f"cannot sign with it: {error}", place=str(seed), cure=cure) from error
    return msgspec.structs.replace(unsigned, signature=signature)


def verify(request: FenceRequest, *, cluster: str, secrets: Path) -> None:
    """Returns if the word is an operator's of this cluster. Raises WordError.

    `secrets` is the secrets folder of this place.
    """
    place = str(secrets / REGISTER)
    cure = "run `holdfast init` and bring the folder of this place here"
    try:
        known = msgspec.json.decode((secrets / REGISTER).read_bytes(), type=dict[str, str])
    except (OSError, msgspec.DecodeError) as error:
        raise WordError(f"operators cannot be known: {error}", place=place, cure=cure) from error
    if known.get(OPERATOR) != request.key:
        raise WordError("the key is not the operator's", place=place, cure=cure)
    try:
        signature = base64.b64decode(request.signature, validate=True)
        _public(request.key).verify(signature, _signed(request, cluster))
    except (InvalidSignature, ValueError) as error:
        cure = "ask again with `holdfast fence`, with the operator's own key"
        raise WordError("the signature does not fit", place=request.key, cure=cure) from error


def _public(key: str) -> Ed25519PublicKey:
    """The key behind an nkey: base32 of a prefix, the key itself and a checksum. ValueError."""
    raw = base64.b32decode(key + "=" * (-len(key) % 8))
    return Ed25519PublicKey.from_public_bytes(raw[1:-2])


def _signed(request: FenceRequest, cluster: str) -> bytes:
    """What is signed: every word of it, in one order."""
    words = [cluster, request.action, request.node, request.boot, request.operator, request.key]
    return msgspec.json.encode(["holdfast fence 1", *words])
