"""The database under test: how it comes to be, and how it is asked."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.volumes.tools import run

BIN = max(Path("/usr/lib/postgresql").glob("*/bin"), default=Path("/usr/lib/postgresql"))
SIZE = 512 << 20
"""Bytes of the volume."""
SCALE = 2
"""Of pgbench: 100,000 accounts each."""
ASK_WITHIN = 60.0
AS_POSTGRES = ("setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups")

_SETTINGS = """
unix_socket_directories = ''
shared_buffers = 64MB
max_wal_size = 128MB
checkpoint_timeout = 30s
log_min_messages = info
"""
_SCHEMA = """
create extension amcheck;
create table committed (
    round integer, client integer, n integer check (n > 0), primary key (round, client, n));
create table answered (round integer primary key);
"""
_BALANCES = """
select (select sum(abalance) from pgbench_accounts), (select sum(tbalance) from pgbench_tellers),
    (select sum(bbalance) from pgbench_branches), (select sum(delta) from pgbench_history)
"""


@dataclass(frozen=True)
class Server:
    """Where clients find it, whichever host runs it."""

    host: str
    port: int

    def environment(self) -> dict[str, str]:
        """For every client program of PostgreSQL."""
        reach = {"PGHOST": self.host, "PGPORT": str(self.port), "PGCONNECT_TIMEOUT": "5"}
        return {**os.environ, **reach, "PGUSER": "postgres", "PGDATABASE": "postgres"}

    async def ask(self, query: str) -> list[list[str]]:
        """The rows of a query. Raises Unanswered."""
        code, said = await self.tool("psql", "--no-psqlrc", "-qAt", "-F", "\t", "-c", query)
        if code != 0:
            raise Unanswered(said)
        return [line.split("\t") for line in said.splitlines()]

    async def tool(self, name: str, *arguments: str) -> tuple[int, str]:
        """Exit code and words of a client program."""
        process = await asyncio.create_subprocess_exec(
            BIN / name,
            *arguments,
            env=self.environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(ASK_WITHIN):
                said, _ = await process.communicate()
        except TimeoutError:
            process.kill()
            await process.wait()
            raise AssertionError(f"{name} took longer than {ASK_WITHIN:.0f} s") from None
        assert process.returncode is not None
        return process.returncode, said.decode(errors="replace")

    async def is_sound(self) -> None:
        """Indexes agree with their tables, and no transaction was half done: the sums are equal."""
        code, said = await self.tool("pg_amcheck", "--heapallindexed", "postgres")
        assert code == 0, said
        (sums,) = await self.ask(_BALANCES)
        assert len(set(sums)) == 1, f"accounts, tellers, branches, history: {sums}"


class Unanswered(Exception):
    """The database does not answer, or not with rows."""


def make(file: Path, mount: Path, server: Server) -> None:
    """Fill a raw file of SIZE bytes with ext4 and a database with checksums, cleanly shut down."""
    with file.open("wb") as made:
        made.truncate(SIZE)
    run("mkfs.ext4", "-q", "-F", file)
    with mounted(file, mount):
        data = mount / "data"
        run("install", "-d", "-o", "postgres", "-g", "postgres", "-m", "0700", data)
        run(*AS_POSTGRES, BIN / "initdb", "-D", data, "--data-checksums", "--auth=trust")
        with (data / "postgresql.conf").open("a") as settings:
            settings.write(_SETTINGS)
        where = f"-h {server.host} -p {server.port}"
        log = data / "first.log"
        pg_ctl = (*AS_POSTGRES, BIN / "pg_ctl", "-D", data, "-w")
        run(*pg_ctl, "-l", log, "-o", where, "start")
        try:
            reach = ("-h", server.host, "-p", str(server.port), "-U", "postgres")
            run(BIN / "psql", *reach, "-v", "ON_ERROR_STOP=1", "-qc", _SCHEMA)
            run(BIN / "pgbench", *reach, "-i", "-q", "-s", str(SCALE), "postgres")
        finally:
            run(*pg_ctl, "-m", "fast", "stop")


def examine(file: Path, mount: Path) -> None:
    """File system and checksums of a copy that nobody uses: after a clean end, without an error."""
    run("e2fsck", "-f", "-n", file)
    with mounted(file, mount):
        said = run(*AS_POSTGRES, BIN / "pg_checksums", "--check", "-D", mount / "data")
        assert "Bad checksums:  0" in said, said


@contextmanager
def mounted(file: Path, mount: Path) -> Iterator[None]:
    """A raw file's file system, while nothing else uses it."""
    mount.mkdir(parents=True, exist_ok=True)
    run("mount", "-o", "loop", file, mount)
    try:
        yield
    finally:
        run("umount", mount)
