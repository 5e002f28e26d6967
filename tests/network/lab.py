"""The network of a cluster: a namespace per place, a switch between them, a way in from outside.

Everything is inside namespaces that are made and removed here. Each place has two interfaces:
`lan`, over which the cluster talks, through the switch that the tests cut; and `out`, over which
the observer sees it, which is never cut.
"""

import contextlib
import ctypes
import itertools
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

LAN, OUT = "10.77.0", "10.78.0"
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

    def __init__(self, places: Iterable[str]) -> None:
        self._prefix = f"hf{os.getpid()}-{next(_numbers)}"
        self._octets = {place: number for number, place in enumerate(places, start=1)}
        self.observer = f"{self._prefix}-observer"
        self._switch = f"{self._prefix}-switch"

    @classmethod
    @contextlib.contextmanager
    def make(cls, places: Iterable[str]) -> Iterator["Lab"]:
        """The lab, wired; everything in it must have ended before it is left."""
        lab = cls(places)
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

    def address(self, place: str) -> str:
        """A place's address on the cluster's network; the observer reaches it by the other one."""
        return f"{LAN}.{self._octets[place]}"

    def inode(self, place: str) -> int:
        """What /proc/<pid>/ns/net of every process of a place leads to."""
        return (_NAMED / self.namespace(place)).stat().st_ino

    # --- what the switch loses ---------------------------------------------------------------

    def isolate(self, place: str) -> None:
        """Nothing to it and nothing from it."""
        self._drop(f'iifname "{place}"', f'oifname "{place}"')

    def mute(self, place: str) -> None:
        """Nobody hears it; it hears the others."""
        self._drop(f'iifname "{place}"')

    def deafen(self, place: str) -> None:
        """It hears nobody; the others hear it."""
        self._drop(f'oifname "{place}"')

    def lose(self, percent: int) -> None:
        """This share of all frames, at random."""
        self._drop(f"numgen random mod 100 < {percent}")

    def outage(self) -> None:
        """The switch forwards nothing at all."""
        self._drop("")

    def heal(self) -> None:
        """The switch loses nothing."""
        self._nft("flush chain bridge cut switch")

    def _drop(self, *matches: str) -> None:
        rules = [f"add rule bridge cut switch {match} drop" for match in matches]
        self._nft("\n".join(rules))

    def _nft(self, text: str) -> None:
        _run("ip", "netns", "exec", self._switch, "nft", "-f", "-", text=text + "\n")

    # --- wiring ------------------------------------------------------------------------------

    def _names(self) -> list[str]:
        return [self._switch, self.observer, *(self.namespace(place) for place in self._octets)]

    def _build(self) -> None:
        for name in self._names():
            _run("ip", "netns", "add", name)
            _ip(name, "link set dev lo up")
        _ip(self._switch, "link add lan type bridge", "link set dev lan up")
        # The way in does not pass the switch: it is the observer's own bridge.
        _ip(self.observer, "link add out type bridge", "link set dev out up")
        _ip(self.observer, f"addr add {OUT}.{OBSERVER_OCTET}/24 dev out")
        for place, octet in self._octets.items():
            here = self.namespace(place)
            for link, bridge in (("lan", self._switch), ("out", self.observer)):
                _ip(here, f"link add {link} type veth peer name {place} netns {bridge}")
                _ip(bridge, f"link set dev {place} master {link}", f"link set dev {place} up")
                _ip(here, f"link set dev {link} up")
            _ip(here, f"addr add {LAN}.{octet}/24 dev lan", f"addr add {OUT}.{octet}/24 dev out")
            _ip(self.observer, f"route add {LAN}.{octet}/32 via {OUT}.{octet}")
        self._nft(_SWITCH)


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
