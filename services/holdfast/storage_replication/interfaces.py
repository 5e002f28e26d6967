"""What the parts of a data path are to each other (docs/design/volumes.md).

All run in one event loop; nothing here is a coroutine. Offsets, lengths and sizes are in bytes.
"""

from collections.abc import Callable
from typing import Protocol

Done = Callable[[int], None]
"""Told once how it ended: an errno, 0 for success; perhaps before the call returns."""
ReadDone = Callable[[int, bytes | bytearray | memoryview], None]
"""As Done, with what was read, which nobody changes any more."""
Extent = tuple[int, bool, bool]
"""Length, whether it is a hole (not allocated), whether it reads as zeroes."""


class Volume(Protocol):
    """What the NBD server serves. Ranges are within `size` and not empty: callers check that.

    A flush on behalf of anybody makes durable what was written for everybody.
    """

    @property
    def size(self) -> int:
        """In bytes; never changes while it is served."""
        ...

    def read(self, offset: int, length: int, done: ReadDone) -> None:
        """Exactly `length` bytes, or an errno."""
        ...

    def write(self, offset: int, data: memoryview, fua: bool, done: Done) -> None:
        """`data` is valid only during the call. With `fua` it is durable when done."""
        ...

    def flush(self, done: Done) -> None:
        """Durable when done: every write that was done when this was called."""
        ...

    def zero(self, offset: int, length: int, punch: bool, fua: bool, done: Done) -> None:
        """Reads as zeroes when done; `punch`: it may give the space back."""
        ...

    def extents(self, offset: int, length: int) -> list[Extent]:
        """From `offset` on, at least one; perhaps less than `length` in all. Raises OSError."""
        ...


class BlockFile(Protocol):
    """A raw file or block device of fixed size. Every method raises OSError."""

    @property
    def size(self) -> int:
        """In bytes."""
        ...

    def pread(self, offset: int, length: int) -> bytes | bytearray:
        """Exactly `length` bytes."""
        ...

    def pwrite(self, offset: int, data: bytes | memoryview) -> None:
        """All of `data`."""
        ...

    def zero(self, offset: int, length: int, punch: bool) -> None:
        """Reads as zeroes from now on; `punch`: may give the space back, else keeps it."""
        ...

    def extents(self, offset: int, length: int) -> list[Extent]:
        """As `Volume.extents`."""
        ...

    def sync(self, done: Done) -> None:
        """Durable when done: what was written before this call. Several calls may share one.

        After one failure it fails for good: the kernel reports a lost page only once.
        """
        ...


class DataFile(BlockFile, Protocol):
    """A member's data."""

    def read_disk(self, offset: int, length: int) -> bytes | bytearray:
        """As `pread`, but what the disk has, whatever is cached; what was written to the range
        before is on the disk then."""
        ...

    def clear(self, offset: int, length: int, done: Done) -> None:
        """Zeroes when done, not yet durable; beside the event loop. Nobody else uses the range."""
        ...


class Store(Protocol):
    """Small durable files of a member. Every method raises OSError."""

    def read(self, name: str) -> bytes | None:
        """The whole file; None: there is none."""
        ...

    def replace(self, name: str, data: bytes) -> None:
        """Durable on return, whole or not at all."""
        ...

    def open(self, name: str, size: int) -> BlockFile:
        """A preallocated file for random access; made if it is missing."""
        ...

    def remove(self, name: str) -> None:
        """Gone for good on return, also if it was not there."""
        ...


class Link(Protocol):
    """One connection to one member: in order, lost as a whole."""

    def send(
        self, frame: bytes, payload: bytes | memoryview = b"", *, at_once: bool = False
    ) -> None:
        """Takes what it needs of `payload` before it returns; says nothing of arrival.

        `at_once`: it leaves now, with all before it, and not with what else this turn brings.
        """
        ...

    def close(self) -> None:
        """No more frames either way."""
        ...
