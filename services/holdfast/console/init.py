"""`holdfast init`, `holdfast bus-config`: what a cluster of several machines needs beforehand."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.text import Text

from holdfast.config.load import load
from holdfast.console import credentials
from holdfast.console.bus_config import ROUTES_FILE, render, render_routes
from holdfast.console.files import folder, write
from holdfast.errors import HoldfastError


def init(
    *,
    config: Annotated[Path, Parameter(name=["--config", "-c"])],
    out: Path,
    tls: bool = False,
    san: list[str] | None = None,
) -> int:
    """Make keys for every user of the bus, and certificates with `--tls`. Replaces nothing.

    Parameters
    ----------
    config
        The cluster file.
    out
        Where to put them: a folder per place to bring there, one for operators, one for readers.
    tls
        Make a certificate authority (its key stays in `ca`) and certificates too.
    san
        A further name in a place's certificate, as place=name; may be repeated.
    """
    cluster = load(config)
    made = credentials.initialise(cluster, out, tls=tls, names=_names(san or []))
    console = Console(highlight=False, soft_wrap=True)
    for path in made:
        console.print(Text(f"made {path}"))
    console.print(Text(f"{len(made)} made under {out}; what was there is unchanged"))
    return 0


def bus_config(
    *,
    config: Annotated[Path, Parameter(name=["--config", "-c"])],
    place: str,
    secrets: Path,
    store: Path,
    out: Path,
) -> int:
    """Write the nats-server configuration of one place: nats.conf and routes.conf.

    Parameters
    ----------
    config
        The cluster file.
    place
        The place.
    secrets
        The place's own folder from `holdfast init`, by the path that nats-server will see.
    store
        Where its nats-server keeps JetStream's data.
    out
        Folder to write to.
    """
    cluster = load(config)
    if place not in cluster.places():
        known = ", ".join(cluster.places())
        raise HoldfastError("there is no such place", place=place, cure=f"one of: {known}")
    keys = credentials.read_register(secrets)
    tls = credentials.server_tls(secrets)
    token = credentials.read_route_token(secrets)
    text = render(cluster, place, keys, store=str(store), tls=tls)
    folder(out)
    write(out / ROUTES_FILE, render_routes(cluster, place, token, tls=tls))
    write(out / "nats.conf", text)
    return 0


def _names(san: list[str]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for one in san:
        place, equals, name = one.partition("=")
        if not equals or not name:
            cure = "write it as --san alpha=alpha.example.org"
            raise HoldfastError("not place=name", place=f"--san {one}", cure=cure)
        names.setdefault(place, []).append(name)
    return names
