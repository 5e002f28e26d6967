"""What Pacemaker and Corosync say: whether all is well, and when which phase was over. Pure."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from datetime import datetime

from tests.benchmarks.failover.results import HOST, Mark
from tests.benchmarks.failover.times import from_log

_LINE = re.compile(r"^(?P<time>\w{3} \d\d \d\d:\d\d:\d\d\.\d{3}) (?P<said>.*)$", re.MULTILINE)


def coordinator(xml: str) -> str | None:
    """The designated coordinator, from `crm_mon --output-as=xml`."""
    current = ET.fromstring(xml).find("summary/current_dc")
    return None if current is None else current.get("name")


def whole(xml: str, nodes: Sequence[str]) -> bool:
    """Whether every node is online and every resource runs on exactly one of them."""
    tree = ET.fromstring(xml)
    online = {
        node.get("name")
        for node in tree.findall("nodes/node")
        if node.get("online") == "true" and node.get("pending") == node.get("unclean") == "false"
    }
    resources = tree.findall("resources/resource")
    started = [
        one.get("role") == "Started" and one.get("failed") == "false" and len(one) == 1
        for one in resources
    ]
    quorum = tree.find("summary/current_dc")
    has_quorum = quorum is not None and quorum.get("with_quorum") == "true"
    return has_quorum and online == set(nodes) and bool(resources) and all(started)


def marks(fault: str, host: str, log: str, *, began: float, now: datetime) -> list[Mark]:
    """The first line of each kind since `began`, in seconds since 1970.

    A mark `start` is the end of the start operation, after which nothing of interest follows.
    """
    lines = [
        (at, found["said"])
        for found in _LINE.finditer(log)
        if (at := from_log(found["time"], now)) >= began - 0.001
    ]
    found = []
    for phase, pattern in _wanted(fault, host):
        times = [at for at, said in lines if re.search(pattern, said)]
        if times:
            found.append(Mark(phase=phase, at=min(times)))
    return found


def _wanted(fault: str, host: str) -> Iterator[tuple[str, str]]:
    if fault == HOST:
        # Every survivor that Corosync lists has agreed; Pacemaker hears of the loss only then.
        yield "detect", r"corosync .*A new membership .* was formed\. Members left"
        yield "decide", rf"Requesting fencing \(\w+\) (of|targeting) node {host}"
        yield "fence", rf"Operation '\w+' targeting {host} by .*: OK"
        yield "decide", r"Initiating start operation ledger_start_0"
    else:
        yield "detect", r"Result of monitor operation for ledger on \w+: (?!ok)"
        yield "decide", r"Initiating stop operation ledger_stop_0"
    yield "start", r"Result of start operation for ledger on \w+: ok"
