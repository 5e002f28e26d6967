"""A data path from its start to its end: opens the backing, serves it, makes it durable, ends."""

import asyncio
import contextlib
import logging
import signal
import sys

from holdfast.storage_replication.blocks.plain import Plain
from holdfast.storage_replication.blocks.rawfile import RawFile
from holdfast.storage_replication.data_path.arguments import Settings
from holdfast.storage_replication.nbd.options import Export
from holdfast.storage_replication.nbd.server import Server
from holdfast.storage_replication.nbd.tls import server_context

DRAIN = 5.0
"""Seconds for requests in flight when a stop is asked for."""
LAST_FLUSH = 30.0
"""Seconds for the last flush. One that takes longer is left to the kernel."""

_log = logging.getLogger("holdfast.volume")


async def serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; the exit code. Raises HoldfastError when it cannot start."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    tls = server_context(settings.secrets) if settings.secrets else None
    # The lock comes before the sockets: whoever answers there holds the backing.
    volume = Plain(RawFile(settings.file, read_only=settings.read_only))
    export = Export(name=settings.volume, size=volume.size, read_only=settings.read_only)
    server = Server(export, volume)
    places = []
    if settings.unix:
        await server.listen_unix(settings.unix)
        places.append(f"unix:{settings.unix}")
    if settings.tcp:
        host, port = settings.tcp
        port = await server.listen_tcp(host, port, tls)
        places.append(f"{'tls' if tls else 'tcp'}:{host}:{port}")
    sys.stdout.write(f"volume {export.name}: {export.size} bytes at {' and '.join(places)}\n")
    sys.stdout.flush()
    await stopping.wait()
    await server.close(DRAIN)
    return await _last_flush(volume)


async def _last_flush(volume: Plain) -> int:
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def done(error: int) -> None:
        if not ended.done():
            ended.set_result(error)

    volume.flush(done)
    error = -1
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LAST_FLUSH):
            error = await ended
    if error:
        _log.critical("the last flush did not succeed; what was not flushed before may be lost")
        return 3
    return 0  # the process ends here, and with it the lock, also if a thread is still at work
