"""Which cluster a command is about, and with which keys it talks to it."""

import os
from pathlib import Path

import msgspec

from holdfast.bus import Bus
from holdfast.config.load import load
from holdfast.config.model import ClusterFile
from holdfast.console.connection import connect
from holdfast.console.here import read_here

CONNECT_TIMEOUT = 5.0


class Whereabouts(msgspec.Struct, frozen=True, kw_only=True):
    """A cluster file and the folder of `holdfast init` that holds `operator/operator.nk`."""

    cluster: ClusterFile
    secrets: Path

    async def connect(self) -> Bus:
        """The bus as the operator. Raises HoldfastError."""
        return await connect(self.cluster, self.secrets, "operator", timeout=CONNECT_TIMEOUT)


def state_folder(state: Path | None) -> Path:
    """The state folder meant: the option, else $HOLDFAST_HOME, else `.holdfast` here."""
    return (state or Path(os.environ.get("HOLDFAST_HOME", ".holdfast"))).absolute()


def find(state: Path | None, config: Path | None, secrets: Path | None) -> Whereabouts:
    """The cluster of `--config` and `--secrets`, else the one started from the state folder.

    `HOLDFAST_CONFIG` and `HOLDFAST_SECRETS` stand for options that are not given, unless `state`
    is. Raises HoldfastError.
    """
    if state is None:
        config, secrets = config or _named("CONFIG"), secrets or _named("SECRETS")
    if config is not None and secrets is not None:
        return Whereabouts(cluster=load(config), secrets=secrets)
    here = read_here(state_folder(state))
    return Whereabouts(
        cluster=load(config or Path(here.config)), secrets=secrets or Path(here.secrets)
    )


def _named(what: str) -> Path | None:
    value = os.environ.get(f"HOLDFAST_{what}")
    return Path(value) if value else None
