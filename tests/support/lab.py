"""The network of a cluster: a namespace per place, a switch between them, a way in from outside.

Everything is inside namespaces that are made and removed here. Each place has an interface for
each of the cluster's networks, `lan` and perhaps `san`, through the switches that the tests cut;
and `out`, over which the observer sees it, which is never cut.
"""

import contextlib
import ctypes
import itertools
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest

LAN, SAN = "lan", "san"
NETS = {LAN: "10.77.0", SAN: "10.79.0"}
OUT = "10.78.0"
OBSERVER_OCTET = 254
COMMAND_TIMEOUT = 20.0
_CLONE_NEWNET = 0x40000000
_NAMED = Path("/run/netns")
_libc = ctypes.CDLL(None, use_errno=True)
_numbers = itertools.count(1)

_SWITCH = """\
table bridge cut {
  chain switch {
    type filter hook forward priority 0; policy accept;
  }
}
"""
# At the switch and at the observer, whose own frames are not forwarded. The links stay up: a host
# without power does not learn, as one whose cable is pulled does, that it hears nobody any more.
_CABLES = """\
table bridge cables {
  set unplugged { type ifname; }
  chain forwarded {
    type filter hook forward priority 0; policy accept;
    iifname @unplugged drop
    oifname @unplugged drop
  }
  chain to_observer {
    type filter hook input priority 0; policy accept;
    iifname @unplugged drop
  }
  chain from_observer {
    type filter hook output priority 0; policy accept;
    oifname @unplugged drop
  }
}
"""


def unusable() -> str:
    """Why no lab can be made here; empty if one can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    for program, package in (("ip", "iproute2"), ("nft", "nftables")):
        if shutil.which(program) is None:
            return f"there is no program `{program}` (Debian: {package})"
    name = f"hf{os.getpid()}-try"
    made = subprocess.run(
        ["ip", "netns", "add", name], capture_output=True, text=True, timeout=COMMAND_TIMEOUT
    )
    if made.returncode:
        return f"no network namespace can be made: {made.stderr.strip()}"
    _run("ip", "netns", "del", name)
    return ""


def missing() -> str:
    """The same for a test; in CI, which has what it takes, that is a failure."""
    reason = unusable()
    if reason and os.environ.get("CI") == "true":
        pytest.fail(reason)
    return reason


@contextlib.contextmanager
def inside(namespace: str) -> Iterator[None]:
    """This thread, and what it starts and opens, belongs to the network namespace meanwhile."""
    with open("/proc/thread-self/ns/net") as home, (_NAMED / namespace).open() as there:
        _enter(there.fileno())
        try:
            yield
        finally:
            _enter(home.fileno())


class Lab:
    """The namespaces of `places`. Make it with `Lab.make`, which removes them at the end."""

    def __init__(self, places: Iterable[str], networks: Sequence[str]) -> None:
        self._prefix = f"hf{os.getpid()}-{next(_numbers)}"
        self._octets = {place: number for number, place in enumerate(places, start=1)}
        self.networks = tuple(networks)
        self.observer = f"{self._prefix}-observer"
        self._switch = f"{self._prefix}-switch"

    @classmethod
    @contextlib.contextmanager
    def make(cls, places: Iterable[str], networks: Sequence[str] = (LAN,)) -> Iterator["Lab"]:
        """The lab, wired; everything in it must have ended before it is left."""
        lab = cls(places, networks)
        try:
            lab._build()
            yield lab
        finally:
            for name in lab._names():
                if (_NAMED / name).exists():
                    _run("ip", "netns", "del", name)

    def namespace(self, place: str) -> str:
        """The name of a place's namespace."""
        return f"{self._prefix}-{place}"

    def address(self, place: str, network: str = LAN) -> str:
        """A place's address on a network of the cluster; the observer reaches that of `lan`."""
        return f"{NETS[network]}.{self._octets[place]}"

    def inode(self, place: str) -> int:
        """What /proc/<pid>/ns/net of every process of a place leads to."""
        return (_NAMED / self.namespace(place)).stat().st_ino

    def unplug(self, place: str) -> None:
        """Nothing to it and nothing from it on any network, not even to the observer."""
        self._cables("add", place)

    def plug_in(self, place: str) -> None:
        """Every network again. Does nothing if it was not unplugged."""
        self._cables("add", place)  # what is not there cannot be deleted
        self._cables("delete", place)

    def _cables(self, action: str, place: str) -> None:
        for bridge, ports in (
            (self._switch, self._ports(place, None)),
            (self.observer, [_port(place, "out")]),
        ):
            names = ", ".join(f'"{port}"' for port in ports)
            self._nft(f"{action} element bridge cables unplugged {{ {names} }}", bridge)

    # --- what the switches lose --------------------------------------------------------------

    def isolate(self, place: str) -> None:
        """Nothing to it and nothing from it."""
        self.mute(place)
        self.deafen(place)

    def mute(self, place: str, network: str | None = None) -> None:
        """Nobody hears it; it hears the others. On one network, or on all."""
        self._drop(*(f'iifname "{port}"' for port in self._ports(place, network)))

    def deafen(self, place: str, network: str | None = None) -> None:
        """It hears nobody; the others hear it. On one network, or on all."""
        self._drop(*(f'oifname "{port}"' for port in self._ports(place, network)))

    def sever(self, source: str, target: str) -> None:
        """What the one sends does not reach the other, on any network; others hear it."""
        self._drop(
            *(
                f'iifname "{_port(source, one)}" oifname "{_port(target, one)}"'
                for one in self.networks
            )
        )

    def block(self, port: int) -> None:
        """Nothing over TCP to or from this port, on any network."""
        self._drop(f"tcp dport {port}", f"tcp sport {port}")

    def cut(self, network: str) -> None:
        """This network forwards nothing at all."""
        for place in self._octets:
            self.mute(place, network)

    def lose(self, percent: int) -> None:
        """This share of all frames, at random."""
        self._drop(f"numgen random mod 100 < {percent}")

    def outage(self) -> None:
        """No switch forwards anything."""
        self._drop("")

    def heal(self) -> None:
        """The switches lose nothing."""
        self._nft("flush chain bridge cut switch")

    def _drop(self, *matches: str) -> None:
        rules = [f"add rule bridge cut switch {match} drop" for match in matches]
        self._nft("\n".join(rules))

    def _nft(self, text: str, bridge: str = "") -> None:
        where = bridge or self._switch
        _run("ip", "netns", "exec", where, "nft", "-f", "-", text=text + "\n")

    def _ports(self, place: str, network: str | None) -> list[str]:
        return [_port(place, one) for one in self.networks if network in (None, one)]

    # --- wiring ------------------------------------------------------------------------------

    def _names(self) -> list[str]:
        return [self._switch, self.observer, *(self.namespace(place) for place in self._octets)]

    def _build(self) -> None:
        for name in self._names():
            _run("ip", "netns", "add", name)
            _ip(name, "link set dev lo up")
        for network in self.networks:
            _ip(self._switch, f"link add {network} type bridge", f"link set dev {network} up")
        # The way in does not pass the switch: it is the observer's own bridge.
        _ip(self.observer, "link add out type bridge", "link set dev out up")
        _ip(self.observer, f"addr add {OUT}.{OBSERVER_OCTET}/24 dev out")
        for place, octet in self._octets.items():
            here = self.namespace(place)
            wires = [(one, self._switch, NETS[one]) for one in self.networks]
            for link, bridge, net in [*wires, ("out", self.observer, OUT)]:
                port = _port(place, link)
                _ip(here, f"link add {link} type veth peer name {port} netns {bridge}")
                _ip(bridge, f"link set dev {port} master {link}", f"link set dev {port} up")
                _ip(here, f"link set dev {link} up", f"addr add {net}.{octet}/24 dev {link}")
            _ip(self.observer, f"route add {self.address(place)}/32 via {OUT}.{octet}")
        self._nft(_SWITCH + _CABLES)
        self._nft(_CABLES, self.observer)


def _port(place: str, network: str) -> str:
    """The name of a place's port of a switch."""
    return f"{network}-{place}"


def _ip(namespace: str, *commands: str) -> None:
    _run("ip", "-n", namespace, "-batch", "-", text="\n".join(commands) + "\n")


def _run(*argv: str, text: str = "") -> None:
    done = subprocess.run(
        argv, input=text, capture_output=True, text=True, timeout=COMMAND_TIMEOUT, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr.strip()} (input: {text!r})")


def _enter(descriptor: int) -> None:
    if _libc.setns(descriptor, _CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
