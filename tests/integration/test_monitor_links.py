"""Link events of a real kernel, in a network namespace made for it."""

import asyncio
import subprocess
import sys

import pytest

PATIENCE = 20.0
_NAMESPACE = ["unshare", "--user", "--map-root-user", "--net"]

_WATCH = """
import asyncio
from holdfast.monitor.probes.links import LinksProbe

def say(seen):
    print(seen.subject.probe, seen.state, seen.reason, flush=True)

asyncio.run(LinksProbe("alpha").run(say))
"""


def _can_make_namespaces() -> bool:
    try:
        probe = subprocess.run(
            [*_NAMESPACE, "ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1"],
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
    except FileNotFoundError:
        return False
    return probe.returncode == 0


class Session:
    """A shell in a namespace of its own, with a probe in the background of it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    def order(self, command: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{command}\n".encode())

    async def hears(self, wanted: str) -> None:
        assert self.process.stdout is not None
        heard = []
        async with asyncio.timeout(PATIENCE):
            while line := await self.process.stdout.readline():
                heard.append(line.decode().strip())
                if heard[-1].startswith(wanted):
                    return
        raise AssertionError(f"{wanted!r} not in {heard}")


@pytest.mark.skipif(
    not _can_make_namespaces(), reason="no user and network namespaces, or no veth, allowed here"
)
async def test_carrier_lost_and_regained_is_seen_as_it_happens() -> None:
    process = await asyncio.create_subprocess_exec(
        *_NAMESPACE,
        "/bin/sh",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    session = Session(process)
    try:
        session.order("ip link add eth0 type veth peer name far")
        session.order("ip link add dark type veth peer name side")
        session.order("ip link set eth0 up; ip link set far up")
        session.order(f"{sys.executable} -c '{_WATCH}' & probe=$!")
        await session.hears("link-eth0 ok")
        await session.hears("links ok")
        session.order("ip link set far down")
        await session.hears("link-eth0 degraded eth0: interface down: no carrier")
        session.order("ip link set far up")
        await session.hears("link-eth0 ok")
        session.order("ip link set eth0 down")
        await session.hears("link-eth0 degraded eth0: interface down: switched off")
        session.order("ip link del eth0")
        await session.hears("link-eth0 ok eth0: virtual interface removed")
    finally:
        session.order("kill -9 $probe; exit 0")
        await asyncio.wait_for(process.communicate(), PATIENCE)
