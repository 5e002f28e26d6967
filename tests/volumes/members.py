"""A volume whose members have a network that can be cut, if one can be made."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from holdfast.config.model import Node
from holdfast.console.certificates import issue_missing
from holdfast.storage_replication.control import Bounds
from tests.support.lab import Lab
from tests.support.replicated import Volume, running


@contextlib.contextmanager
def members(
    folder: Path,
    names: tuple[str, ...],
    networked: bool,
    *,
    asynchronous: tuple[str, ...] = (),
    bounds: Bounds | None = None,
) -> Iterator[Volume]:
    """In namespaces of their own, over TLS; or on loopback."""
    if not networked:
        volume = Volume(folder, names, asynchronous=asynchronous, bounds=bounds)
        with running(volume):
            yield volume
        return
    with Lab.make(names) as lab:
        places = {name: Node(address=lab.address(name)) for name in names}
        issue_missing(places, [], folder / "secrets", {})
        volume = Volume(
            folder, names, asynchronous=asynchronous, bounds=bounds,
            secrets=folder / "secrets", lab=lab,
        )  # fmt: skip
        with running(volume):
            yield volume
