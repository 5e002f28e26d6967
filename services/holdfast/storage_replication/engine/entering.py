"""Writes that may have to wait before they are applied: what for, and in which order they go on."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from holdfast.storage_replication.engine.coming import Coming
from holdfast.storage_replication.engine.held import Held, all_done
from holdfast.storage_replication.engine.stream import Stream
from holdfast.storage_replication.engine.turns import Turns
from holdfast.storage_replication.interfaces import Done


class Late(NamedTuple):
    """A write or a zeroing that may have to wait. `apply` does a piece of it, from an offset on, of
    a length, begun then: it gives its sequence number. `piece`: no more at once; 0: all."""

    offset: int
    length: int
    fua: bool
    done: Done
    apply: Callable[[int, int, float], int]
    piece: int = 0


class Applied(NamedTuple):
    """A piece of one that was applied: to be answered. `seq` 0: the disk has failed."""

    offset: int
    length: int
    fua: bool
    done: Done
    began: float
    seq: int


class Door(NamedTuple):
    """What they wait for, and whom to tell. `ended`: the error of a role that is over, or 0."""

    coming: Coming
    held: Held
    stream: Stream
    turns: Turns
    now: Callable[[], float]
    shut: Callable[[], bool]
    ended: Callable[[], int]
    applied: Callable[[Applied], None]


class Entering:
    """One of them on its way, numbered by `Coming`, in pieces, each in its turn."""

    def __init__(self, door: Door, late: Late, number: int) -> None:
        self._door, self._late, self._number = door, late, number
        self._piece = late.piece or late.length
        self._at, self._end = late.offset, late.offset + late.length
        self._left = -(-late.length // self._piece)
        self._piece_done = all_done(self._left, late.done)

    def come(self) -> None:
        """Go in, perhaps now."""
        if self._door.held or self._door.shut():
            self._door.held.add(self._enter, self._refused)
        else:
            self._enter()

    def _enter(self) -> None:
        """Behind whatever overlaps it and came earlier, and when its extents are active."""
        door, began = self._door, self._door.now()
        if error := door.ended():
            self._refused(error)
        elif door.coming.behind(self._number, self._enter):
            return
        elif door.stream.ready(self._at, self._length()):
            self._ready(began)
        else:
            door.stream.activate(self._at, self._length(), partial(self._ready, began))

    def _ready(self, began: float) -> None:
        door, length = self._door, self._length()
        if error := door.ended():
            self._refused(error)
        elif door.shut():
            # So many may have waited for their extents that the bounds are reached meanwhile.
            door.held.add(self._enter, self._refused)
        elif not self._late.piece or door.turns.spend(length, self._enter):
            self._apply(length, began)

    def _apply(self, length: int, began: float) -> None:
        late, offset = self._late, self._at
        self._at, self._left = offset + length, self._left - 1
        behind = [] if self._left else self._door.coming.leave(self._number)
        seq = late.apply(offset, length, began)
        self._door.applied(Applied(offset, length, late.fua, self._piece_done, began, seq))
        if self._left:
            self._enter()
        for then in behind:
            then()

    def _refused(self, error: int) -> None:
        behind = self._door.coming.leave(self._number)
        for _ in range(self._left):
            self._piece_done(error)
        for then in behind:
            then()

    def _length(self) -> int:
        """Of the next piece."""
        return min(self._piece, self._end - self._at)
