"""The proof would see a loss: a database whose rows really go missing, on a local file."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from holdfast.console.demo.cluster_file import SERVICE
from tests.postgres.cluster import PARTS
from tests.postgres.database import Server, make, mounted
from tests.postgres.load import Load, Promises
from tests.support.cluster import eventually
from tests.support.nats import free_ports

pytestmark = pytest.mark.postgres
STOPS_WITHIN = 30.0


@asynccontextmanager
async def served(data: Path, server: Server) -> AsyncIterator[None]:
    """The example's `database` as a process; SIGTERM ends it in order, whoever is connected."""
    where = ("-h", server.host, "-p", str(server.port))
    process = await asyncio.create_subprocess_exec(PARTS / "database", data, *where)

    async def ready() -> bool:
        return (await server.tool("pg_isready", "-q"))[0] == 0

    try:
        await eventually(ready, "PostgreSQL answers")
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(STOPS_WITHIN):
            code = await process.wait()
    assert code == 0


async def test_every_kind_of_loss_is_seen(folder: Path) -> None:
    server = Server(SERVICE, free_ports(1)[0])
    file, mount = folder / "volume.raw", folder / "root"
    make(file, mount, server)
    with mounted(file, mount):
        async with served(mount / "data", server):
            load = Load(folder, server, 1)

            async def some() -> bool:
                ((count,),) = await server.ask("select count(*) from committed")
                return int(count) >= 100

            await eventually(some, "100 transactions")
        noted = load.noted()
        promises = Promises()
        promises.add(1, noted)
        async with served(mount / "data", server):
            assert noted.total() >= 100
            assert await promises.lost(server) == 0
            await server.is_sound()
            await server.ask("delete from committed where client = 0 and n = 1")
            assert await promises.lost(server) == 1
            await server.ask("delete from committed where client = 1")
            assert await promises.lost(server) >= 1 + noted[1]
            await server.ask("insert into committed values (1, 0, 1000000)")
            with pytest.raises(AssertionError, match="that were sent"):
                await promises.lost(server)
            await server.ask("update pgbench_tellers set tbalance = tbalance + 1 where tid = 1")
            with pytest.raises(AssertionError, match="branches"):
                await server.is_sound()
