"""Transmission with one client, sans I/O: requests in, calls of the volume, replies out."""

from functools import partial

from holdfast.nbd_protocol import (
    FLAG_FUA,
    FLAG_NO_HOLE,
    FLAG_REQ_ONE,
    REQUEST,
    REQUEST_MAGIC,
    STATE_HOLE,
    STATE_ZERO,
    Command,
)
from holdfast.storage_replication.interfaces import Extent, Volume
from holdfast.storage_replication.nbd.long_read import PIECE, LongRead
from holdfast.storage_replication.nbd.options import Export
from holdfast.storage_replication.nbd.output import Output, Piece, Wire
from holdfast.storage_replication.nbd.payload import WHOLE, Payload
from holdfast.storage_replication.nbd.requests import Refusal, Rules

MAX_REQUESTS = 256
"""Requests in flight on one connection; more wait in its socket."""
MAX_BYTES = 8 * 1024 * 1024
"""Bytes that the requests in flight of one connection read or write."""
TURN = 128
"""Requests parsed before other connections have their turn; a BLOCK_STATUS counts as many."""
STATUS_COST = 32


class Session:
    """The requests of one connection, after its negotiation."""

    def __init__(
        self, export: Export, volume: Volume, wire: Wire, *, structured: bool, allocation: bool
    ) -> None:
        self._volume, self._wire = volume, wire
        self._structured = structured
        self._rules = Rules(export, structured=structured, allocation=allocation)
        self._output = Output(wire, structured=structured)
        self._requests = 0
        self._bytes = 0
        self._turn = 0
        self._payload: Payload | None = None
        self._long: LongRead | None = None
        self._parsing = False
        self._ending = False
        self._gone = False
        self.paused = False
        """Set by the connection while its client does not take what was written."""
        self.stalled = False
        """Whether input is left alone until `wake`; then nothing more need be read."""

    def receive(self, data: memoryview) -> int:
        """Deal with what has arrived; how many bytes were. Never raises for any input."""
        self._parsing = True
        self._turn = TURN
        self.stalled = False
        at = 0
        try:
            while not self._must_wait():
                taken = self._one(data[at:])
                if not taken:
                    break
                at += taken
        finally:
            self._parsing = False
        if self._gone:
            return len(data)
        self._output.flush()
        self._end_if_idle()
        return len(data) if self._ending else at

    def end(self) -> None:
        """Answer what is in flight, take no more, then close."""
        self._ending = True
        self._end_if_idle()

    def lost(self) -> None:
        """The connection is gone: what is in flight goes on, its answers are for nobody."""
        self._gone = True
        self._output.lost()

    def _must_wait(self) -> bool:
        """Whether parsing stops, with what it takes to go on arranged."""
        if self._gone or self._ending:
            return True
        if self._long is not None and not self._read_on(self._long):
            self.stalled = True
        elif self._turn <= 0:
            self.stalled = True
            self._wire.wake()
        elif self.paused or self._requests >= MAX_REQUESTS or self._bytes >= MAX_BYTES:
            self.stalled = True
        return self.stalled

    def _one(self, data: memoryview) -> int:
        """One request, or a part of one; how many bytes it took. 0: more must arrive."""
        if self._payload is not None:
            return self._take_payload(self._payload, data)
        if len(data) < REQUEST.size:
            return 0
        magic, flags, command, cookie, offset, length = REQUEST.unpack_from(data)
        if magic != REQUEST_MAGIC:
            self._wire.abort()
            self._gone = True
            return 0
        if command == Command.DISC:
            self._ending = True
            return len(data)
        refusal = self._rules.refusal(command, flags, offset, length)
        if command == Command.WRITE:
            return self._write(data, flags, cookie, offset, length, refusal)
        self._turn -= STATUS_COST if command == Command.BLOCK_STATUS else 1
        if refusal is not None:
            self._output.error(cookie, *refusal)
        else:
            self._start(command, flags, cookie, offset, length)
        return REQUEST.size

    def _start(self, command: int, flags: int, cookie: int, offset: int, length: int) -> None:
        """Begin a request that is allowed and carries no data."""
        if command == Command.READ:
            self._read(cookie, offset, length)
        elif command == Command.BLOCK_STATUS:
            self._status(cookie, offset, length, one=bool(flags & FLAG_REQ_ONE))
        elif command == Command.FLUSH:
            self._begin(0)
            self._volume.flush(partial(self._done, cookie, 0))
        elif length == 0:
            self._output.ok(cookie)
        else:
            punch = command == Command.TRIM or not flags & FLAG_NO_HOLE
            self._begin(0)
            done = partial(self._done, cookie, 0)
            self._volume.zero(offset, length, punch, bool(flags & FLAG_FUA), done)

    # --- reading -----------------------------------------------------------------------------

    def _read(self, cookie: int, offset: int, length: int) -> None:
        if length == 0:
            self._output.read(cookie, offset, b"")
        elif length > PIECE:
            output, structured = self._output, self._structured
            self._long = LongRead(cookie, offset, length, output=output, structured=structured)
        else:
            self._begin(length)
            self._volume.read(offset, length, partial(self._read_done, cookie, offset, length))

    def _read_done(self, cookie: int, offset: int, length: int, error: int, data: Piece) -> None:
        if not self._gone:
            if error:
                self._output.error(cookie, error)
            else:
                self._output.read(cookie, offset, data)
        self._finish(length)

    def _read_on(self, long: LongRead) -> bool:
        """Go on with a long READ; whether it is over."""
        if not self._structured and self._requests and not long.reading:
            return False
        while not (long.over or long.reading or self.paused or self._gone):
            self._begin(PIECE)
            long.next_piece(self._volume, partial(self._finish, PIECE))
        if long.broken:
            self._wire.abort()
            self._gone = True
        if long.over:
            self._long = None
        return long.over

    def _status(self, cookie: int, offset: int, length: int, *, one: bool) -> None:
        try:
            extents = self._volume.extents(offset, length)
        except OSError as error:
            self._output.error(cookie, error.errno or 0)
            return
        self._output.status(cookie, _descriptors(extents[:1] if one else extents))

    # --- writing -----------------------------------------------------------------------------

    def _write(
        self,
        data: memoryview,
        flags: int,
        cookie: int,
        offset: int,
        length: int,
        refusal: Refusal | None,
    ) -> int:
        fua = bool(flags & FLAG_FUA)
        end = REQUEST.size + length
        if refusal is None and 0 < length <= WHOLE:
            if len(data) < end:
                return 0
            self._turn -= 1
            self._begin(length)
            done = partial(self._done, cookie, length)
            self._volume.write(offset, data[REQUEST.size : end], fua, done)
            return end
        self._turn -= 1
        if length == 0:
            self._answer(cookie, refusal)
            return REQUEST.size
        self._begin(0)
        self._payload = Payload(
            cookie,
            offset,
            length,
            fua=fua,
            refusal=refusal,
            began=self._begin,
            ended=self._finish,
            over=self._payload_over,
        )
        return REQUEST.size

    def _take_payload(self, payload: Payload, data: memoryview) -> int:
        taken = payload.take(data, self._volume)
        self._turn -= 1
        if payload.arrived:
            self._payload = None
        return taken

    def _payload_over(self, payload: Payload) -> None:
        if not self._gone:
            self._answer(payload.cookie, payload.refusal)
        self._finish(0)

    # --- in flight ---------------------------------------------------------------------------

    def _begin(self, length: int) -> None:
        self._requests += 1
        self._bytes += length

    def _done(self, cookie: int, length: int, error: int) -> None:
        if not self._gone:
            if error:
                self._output.error(cookie, error)
            else:
                self._output.ok(cookie)
        self._finish(length)

    def _finish(self, length: int) -> None:
        self._requests -= 1
        self._bytes -= length
        if self._gone:
            return
        if self._parsing:
            if self.stalled:
                self._wire.wake()
        elif self._requests or self.stalled:
            # What else is answered in this turn of the loop leaves with it, in one system call.
            self._wire.wake()
        else:
            self._output.flush()
            self._end_if_idle()

    def _answer(self, cookie: int, refusal: Refusal | None) -> None:
        if refusal is None:
            self._output.ok(cookie)
        else:
            self._output.error(cookie, *refusal)

    def _end_if_idle(self) -> None:
        if self._ending and not self._requests and not self._gone:
            self._output.flush()
            self._gone = True
            self._wire.close()


def _descriptors(extents: list[Extent]) -> list[tuple[int, int]]:
    return [
        (length, (STATE_HOLE if hole else 0) | (STATE_ZERO if zero else 0))
        for length, hole, zero in extents
    ]
