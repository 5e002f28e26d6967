"""What a state folder says about the cluster that was started from it."""

from pathlib import Path

import msgspec

from holdfast.console.launcher.errors import LaunchError

CLUSTER_FILE = "cluster.json"


class Here(msgspec.Struct, frozen=True, kw_only=True):
    """What `<state>/cluster.json` says: the cluster that was started from this folder."""

    config: str
    secrets: str


def read_here(state: Path) -> Here:
    """What runs from a state folder. Raises LaunchError."""
    path = state / CLUSTER_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Here)
    except (OSError, msgspec.DecodeError) as error:
        raise LaunchError(
            "no cluster was started from this folder",
            place=str(state.absolute()),
            cure="give --state, or start one with `holdfast up -c FILE`",
        ) from error
