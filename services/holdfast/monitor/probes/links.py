"""Network interfaces going down and up, told by the kernel over netlink (no privilege needed).

The kernel's group of link events is joined before the interfaces are listed, so no change falls
between. If events were lost (ENOBUFS) the list is asked for again.
"""

import asyncio
import errno
import socket

from holdfast.events.fields import Health, Layer, node_entity
from holdfast.monitor.observation import Observation, Subject
from holdfast.monitor.probes import netlink
from holdfast.monitor.probes.base import ProbeUnavailable, Report

_VIRTUAL_UPLINKS = ("bond", "team", "vlan")
_RECEIVE_BYTES = 64 * 1024


class LinksProbe:
    """Every watched interface is a subject of its own; the probe's is that it listens."""

    def __init__(self, node: str) -> None:
        self.subject = _subject(node, "links")
        self._links = Links(node)

    async def run(self, report: Report) -> None:
        """Listen for changes for ever."""
        loop = asyncio.get_running_loop()
        with _open() as netlink_socket:
            netlink_socket.send(netlink.list_request())
            while True:
                try:
                    data = await loop.sock_recv(netlink_socket, _RECEIVE_BYTES)
                except OSError as error:
                    if error.errno != errno.ENOBUFS:
                        raise
                    netlink_socket.send(netlink.list_request())
                    continue
                for change in netlink.parse(data):
                    for observation in self._links.take(change):
                        report(observation)
                report(self.subject.seen(Health.OK, "listening for changes of interfaces"))


def _open() -> socket.socket:
    try:
        found = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        found.setblocking(False)
        found.bind((0, netlink.LINK_GROUP))
    except OSError as error:
        raise ProbeUnavailable(
            f"no netlink socket: {error.strerror}",
            place="links",
            cure="allow the address family AF_NETLINK to the monitor",
        ) from error
    return found


class Links:
    """Which interfaces are watched and what a change of one means. Pure."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._listed = False
        self._were_up: set[str] = set()

    def take(self, change: netlink.Change) -> list[Observation]:
        """Only interfaces that were up once count: what was never up cannot go down."""
        if change is netlink.LIST_ENDS:
            self._listed = True
            return []
        name = change.name
        if name in self._were_up:
            if change.removed and change.kind:
                # A virtual interface is removed on purpose: nothing is left that could be down.
                self._were_up.discard(name)
                return [self._seen(name, Health.OK, "virtual interface removed")]
            return [self._state(change)]
        if change.up and self._is_watched(change):
            self._were_up.add(name)
            return [self._state(change)]
        return []

    def _is_watched(self, change: netlink.Change) -> bool:
        """Physical interfaces, bonds and vlans; other virtual ones only if there from the start.

        Bridges and their ports belong to guests and containers, and come and go with them.
        """
        if change.loopback:
            return False
        if not change.kind or change.kind in _VIRTUAL_UPLINKS:
            return True
        return not self._listed and change.kind != "bridge" and not change.enslaved

    def _state(self, change: netlink.Change) -> Observation:
        if change.removed:
            return self._seen(change.name, Health.DEGRADED, "interface removed")
        if change.up:
            return self._seen(change.name, Health.OK, "interface up, with carrier")
        why = "no carrier" if change.enabled else "switched off"
        return self._seen(change.name, Health.DEGRADED, f"interface down: {why}")

    def _seen(self, name: str, state: Health, reason: str) -> Observation:
        return _subject(self._node, f"link-{name}").seen(state, f"{name}: {reason}")


def _subject(node: str, probe: str) -> Subject:
    return Subject(entity=node_entity(node), node=node, layer=Layer.NETWORK, probe=probe)
