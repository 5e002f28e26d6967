"""Which cluster a command is about, and with which keys it talks to it."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

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


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Which:
    """The options of every command that talks to a cluster."""

    state: Annotated[Path | None, Parameter(name=["--state", "-s"])] = None
    """The folder given to `holdfast up`: default $HOLDFAST_HOME, else .holdfast."""
    config: Annotated[Path | None, Parameter(name=["--config", "-c"])] = None
    """The cluster file, for a cluster that was not started by `holdfast up`."""
    secrets: Path | None = None
    """The folder of `holdfast init`; it needs `operator/operator.nk` only."""

    def find(self) -> Whereabouts:
        """The cluster of `--config` and `--secrets`, else the one started from the state folder.

        `HOLDFAST_CONFIG` and `HOLDFAST_SECRETS` stand for options that are not given, unless
        `--state` is. Raises HoldfastError.
        """
        config, secrets = self.config, self.secrets
        if self.state is None:
            config, secrets = config or _named("CONFIG"), secrets or _named("SECRETS")
        if config is not None and secrets is not None:
            return Whereabouts(cluster=load(config), secrets=secrets)
        here = read_here(state_folder(self.state))
        return Whereabouts(
            cluster=load(config or Path(here.config)), secrets=secrets or Path(here.secrets)
        )

    async def connect(self) -> Bus:
        """The cluster's bus as the operator. Raises HoldfastError."""
        return await self.find().connect()


HERE = Which()
"""The cluster that was started from the usual folder."""


def _named(what: str) -> Path | None:
    value = os.environ.get(f"HOLDFAST_{what}")
    return Path(value) if value else None
