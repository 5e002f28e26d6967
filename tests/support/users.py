"""Users of a real nats-server with the very permissions of production, and their seeds."""

import json
from pathlib import Path

import msgspec
import nkeys  # type: ignore[import-untyped]
from nacl.signing import SigningKey

from holdfast.config.model import ClusterFile
from holdfast.console.credentials import public_key
from holdfast.console.permissions import grant

_CLUSTER = msgspec.convert(
    {
        "cluster": {"name": "test", "voters": ["alpha", "beta", "witness"]},
        "nodes": {"alpha": {"address": "127.0.0.1"}, "beta": {"address": "127.0.0.2"}},
    },
    ClusterFile,
)
"""Without replicated volumes: they are all that permissions depend on beside the user's name."""


def authorization(users: list[str], folder: Path) -> str:
    """The server's `authorization` section for these users; seeds go to `<folder>/<user>.nk`."""
    entries = []
    for user in users:
        seed = nkeys.encode_seed(bytes(SigningKey.generate()), nkeys.PREFIX_BYTE_USER)
        (folder / f"{user}.nk").write_bytes(seed)
        public = public_key(folder / f"{user}.nk")
        allowed = grant(_CLUSTER, user)
        publish = {"allow": allowed.publish} if allowed.publish else {"deny": [">"]}
        permissions = {"publish": publish, "subscribe": {"allow": allowed.subscribe}}
        entries.append(json.dumps({"nkey": public, "permissions": permissions}))
    return f"authorization {{ users: [{', '.join(entries)}] }}"
