"""Real data paths of one volume's members, and their services played over the control sockets.

The record is a compare-and-set register in memory: what `ha_volumes` is to a real service.
"""

import itertools
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from holdfast import clock
from holdfast.storage_replication import control
from holdfast.storage_replication.control import (
    Answer,
    Ask,
    Bounds,
    Demote,
    Done,
    Lease,
    Promote,
)
from tests.support.lab import Lab
from tests.support.nbd_client import Client
from tests.support.replicated_member import DEADLINE, Node
from tests.support.volume_record import Record

MIB = 1 << 20
LEASE = 2.0
RENEW = 0.25

T = TypeVar("T")


class Volume:
    """The members, the record, and what a decider does."""

    def __init__(
        self,
        folder: Path,
        names: tuple[str, ...] = ("a", "b"),
        *,
        size: int = 16 * MIB,
        asynchronous: tuple[str, ...] = (),
        bounds: Bounds | None = None,
        secrets: Path | None = None,
        lab: Lab | None = None,
        tcp: bool = False,
        fresh: bool = False,
        devices: Mapping[str, Path] | None = None,
    ) -> None:
        """In a lab each member has its network namespace, and `secrets` are needed.

        `tcp`: NBD clients find the primary on loopback, too. `fresh`: all members count from the
        start, for they hold the same nothing. `devices`: what members are on instead of files.
        """
        self.tcp, self.fresh = tcp, fresh
        self.folder, self.size, self.secrets, self.lab = folder, size, secrets, lab
        self.bounds = bounds or Bounds()
        self.asynchronous = set(asynchronous)
        self.changed = threading.Condition()
        self.record = Record()
        self.obeys = "yes"
        """What the service does when asked: `yes`, `refuses`, or `silent`."""
        self.deaf: set[str] = set()
        """Whose services hear nobody: they change no record and get no lease."""
        self.renewing = True
        self.lease: dict[str, float] = {}
        """Until when each was told that its lease lasts."""
        self._ids = itertools.count(1)
        self.nodes = {name: Node(self, name) for name in names}
        for name, device in (devices or {}).items():
            self.nodes[name].file = device
        self._stop = threading.Event()
        self._renewer = threading.Thread(target=self._renew, daemon=True)

    def arguments(self, name: str) -> tuple[str, ...]:
        """More, for a member's data path."""
        secrets = () if self.secrets is None else ("--secrets", str(self.secrets / name))
        return (*secrets, *(("--tcp", "127.0.0.1:0") if self.tcp else ()))

    def id(self) -> int:
        """For an order."""
        return next(self._ids)

    def start(self, primary: str = "a") -> None:
        """All of them; one is promoted."""
        for node in self.nodes.values():
            node.launch()
        self._renewer.start()
        self.record.in_sync = set(self.nodes) if self.fresh else {primary}
        self.promote(primary)

    def stop(self) -> None:
        """Whatever is left is killed."""
        self._stop.set()
        for node in self.nodes.values():
            node.end()

    def until(self, found: Callable[[], T | None], what: str) -> T:
        """Wait until it is true."""
        deadline = time.monotonic() + DEADLINE
        with self.changed:
            while not (value := found()):
                left = deadline - time.monotonic()
                assert left > 0, f"{what}: {self.standing()}"
                self.changed.wait(left)
            return value

    def standing(self) -> str:
        """For whoever looks at a failure."""
        return f"{self.record}; {[(n.name, n.state) for n in self.nodes.values()]}"

    @property
    def primary(self) -> Node:
        """Of the record."""
        return self.nodes[self.record.primary]

    def others(self, name: str) -> dict[str, control.Member]:
        """The members without that one, as the record has them."""
        counting = self.record.in_sync | self.record.following
        return {
            n.name: control.Member(
                host=n.host,
                port=n.port,
                counts=n.name in counting,
                asynchronous=n.name in self.asynchronous,
                before=n.name in self.record.before,
            )
            for n in self.nodes.values()
            if n.name != name and n.port
        }

    def fail_over(self, name: str, *, accept_loss: bool = False) -> None:
        """As a decider that has no proof but time: to another member once the lease is over."""
        with self.changed:
            self.renewing = False
            until = max(self.lease.values(), default=0.0)
        while (left := until - clock.monotonic()) > 0:
            self._stop.wait(left)
        self.promote(name, accept_loss=accept_loss)

    def promote(self, name: str, *, accept_loss: bool = False) -> None:
        """As decider: change the record, then order it. Of the last one there must be proof.

        Who does not run is in sync no more, as with a real service.
        """
        with self.changed:
            self.renewing = True
            record = self.record
            counted = name in record.in_sync
            kept_from = record.epoch if record.primary == name else 0
            counting = record.in_sync | record.following
            record.before = counting if name in counting else set()
            record.epoch += 1
            record.primary = name
            record.in_sync = {n for n in record.in_sync if n == name or self.nodes[n].alive}
            if accept_loss:
                record.in_sync, record.following = {name}, set()
        self._order(name, counted, kept_from, accept_loss)

    def restart(self, name: str, *arguments: str) -> None:
        """In the role that the record gives it."""
        self.nodes[name].launch(*arguments)
        if self.record.primary == name:
            self._order(name, name in self.record.in_sync, self.record.epoch, False)

    def _order(self, name: str, counted: bool, kept_from: int, accept_loss: bool) -> None:
        node = self.nodes[name]
        with self.changed:
            self.record.term += 1
            node.term = self.record.term
            members = self.others(name)
            valid_until = self.lease[name] = clock.monotonic() + LEASE
        node.done(
            Promote(
                id=self.id(),
                epoch=self.record.epoch,
                counted=counted,
                kept_from=kept_from,
                members=members,
                accept_loss=accept_loss,
                valid_until=valid_until,
                bounds=self.bounds,
            )
        )

    def demote(self, name: str) -> Done:
        """Orderly."""
        return self.nodes[name].done(Demote(id=self.id()))

    def settled(self) -> None:
        """Everybody is in step."""
        count = len(self.nodes)

        def all_in() -> bool:
            state = self.primary.state
            record = self.record
            return (
                state is not None
                and state.role == "primary"
                and not state.frozen
                and len(record.in_sync | record.following) == count
                and all(m.phase == "streaming" for m in state.members.values())
                and len(state.members) == count - 1
            )

        self.until(all_in, "settled")

    def client(self) -> Client:
        """Of the primary."""
        return Client(self.primary.nbd)

    def same(self) -> None:
        """The members hold the same, byte by byte. Nothing may be under way."""
        contents = {n.name: n.file.read_bytes() for n in self.nodes.values()}
        first = next(iter(contents.values()))
        assert all(content == first for content in contents.values()), self.standing()

    # The service.

    def asked(self, node: Node, ask: Ask) -> None:
        """Under the lock."""
        if self.obeys == "silent" or node.name in self.deaf:
            return
        agreed = self.obeys == "yes" and self.record.change(ask, node.name, node.term)
        reason = "" if agreed else "the record cannot be changed"
        node.say(Answer(ask=ask.ask, agreed=agreed, reason=reason))

    def _renew(self) -> None:
        while not self._stop.wait(RENEW):
            with self.changed:
                name, epoch = self.record.primary, self.record.epoch
                if not self.renewing or not name or name in self.deaf:
                    continue
                valid_until = self.lease[name] = clock.monotonic() + LEASE
            self.nodes[name].say(Lease(epoch=epoch, valid_until=valid_until))


@contextmanager
def running(volume: Volume, primary: str = "a") -> Iterator[Volume]:
    """Started, and gone afterwards whatever happens."""
    try:
        volume.start(primary)
        yield volume
    except BaseException:
        for node in volume.nodes.values():
            sys.stderr.write(f"--- {node.name}\n{node.log.read_text() if node.port else ''}\n")
        raise
    finally:
        volume.stop()
