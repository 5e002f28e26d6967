"""`holdfast up`, `down`, `host kill`, `host start`: a cluster on this machine."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape

from holdfast.console.launcher.local_cluster import LocalCluster
from holdfast.console.whereabouts import state_folder

READY_TIMEOUT = 60.0
State = Annotated[Path | None, Parameter(name=["--state", "-s"])]


async def up(
    *, config: Annotated[Path, Parameter(name=["--config", "-c"])], state: State = None
) -> int:
    """Run a whole cluster on this machine until Ctrl-C.

    Parameters
    ----------
    config
        The cluster file; its addresses must be of this machine, such as 127.0.10.1.
    state
        Folder for state, secrets and logs: default $HOLDFAST_HOME, else .holdfast.
    """
    console = Console(highlight=False, soft_wrap=True)
    cluster = LocalCluster(
        config, state_folder(state), on_report=lambda line: console.print(escape(line))
    )
    stop = _on_signals()
    await cluster.start()
    try:
        await cluster.ready(READY_TIMEOUT)
        _greet(console, cluster)
        await stop.wait()
        console.print("stopping, workloads too")
    finally:
        await cluster.stop()
    return 0


async def down(*, state: State = None) -> int:
    """Stop the cluster that was started from a state folder, workloads included.

    Parameters
    ----------
    state
        The folder given to `holdfast up`: default $HOLDFAST_HOME, else .holdfast.
    """
    folder = state_folder(state)
    cluster = LocalCluster.of(folder)
    await cluster.stop()
    Console(highlight=False).print("stopped")
    return 0


async def kill_host(name: str, /, *, state: State = None) -> int:
    """Kill a host as a loss of power would: every process of it at once.

    Parameters
    ----------
    name
        The host or witness.
    state
        The folder given to `holdfast up`: default $HOLDFAST_HOME, else .holdfast.
    """
    await LocalCluster.of(state_folder(state)).place(name).kill()
    Console(highlight=False).print(f"{name} is off")
    return 0


async def start_host(name: str, /, *, state: State = None) -> int:
    """Start a host again that is off: a new boot.

    Parameters
    ----------
    name
        The host or witness.
    state
        The folder given to `holdfast up`: default $HOLDFAST_HOME, else .holdfast.
    """
    place = LocalCluster.of(state_folder(state)).place(name)
    await place.start()
    place.close()
    Console(highlight=False).print(f"{name} is on, boot {place.record()['boot_id']}")
    return 0


def _on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def _greet(console: Console, cluster: LocalCluster) -> None:
    for name, place in cluster.cluster.places().items():
        kind = "host" if name in cluster.cluster.nodes else "witness"
        where = f"nats://{place.address}:{place.bus.client_port}"
        console.print(f"{kind} [bold]{name}[/]  bus {where}  logs {cluster.places[name].state}/log")
    option = "" if state_folder(None) == cluster.state else f" --state {_short(cluster.state)}"
    console.print(
        f"running; Ctrl-C stops it. Elsewhere try: holdfast status{option}, "
        f"holdfast events --follow{option}, holdfast host kill NAME{option}"
    )


def _short(path: Path) -> str:
    relative = os.path.relpath(path)
    return relative if len(relative) < len(str(path)) else str(path)
