"""The page about a measurement. Pure: it says what was seen, whatever that is."""

from collections.abc import Iterator, Sequence

from tests.benchmarks.failover.results import (
    APPLICATION,
    HOST,
    PHASES,
    Measurement,
    Result,
    Summary,
    ratio,
    summary,
)

SUBJECT = "holdfast"
PEER = "pacemaker"
GOALS = {HOST: 0.4, APPLICATION: 0.1}
HEADINGS = {
    HOST: "Power cut of the host → the service answers elsewhere",
    APPLICATION: "Kill of the service's process → the service answers again",
}
_INTRODUCTION = """\
# Failover beside its peers

Made by `make bench WHAT=failover`, from the data in [failover.json](failover.json); do not edit.
Figures of one machine and one run; only their ratios mean something elsewhere. Seconds; medians.
"""
_METHOD = """\
## How it is measured
- A node is a set of namespaces (network, mounts, processes, shared memory, host name) with a disk
  of its own. A *power cut* drops every frame to and from it and then kills all of its processes at
  once: no connection is closed, no link goes down.
- Everybody runs the same service, the ledger, on hosts alpha and beta with one shared journal;
  a third node only votes. An observer asks it every 10 ms, with a deadline of 0.2 s, from a network
  of its own. The outage lasts from just before the fault to the first answer of another process.
- Everybody who fences does it by the same program and the same power switch, which answers at once;
  a host whose power was cut is off for it, as it is for a hypervisor, a PDU or a blade chassis.
- The faults are spread evenly over ten seconds, so that whoever polls is met at every point of the
  interval. The cluster is whole before each fault: every node is back, every replica current.
  Who leads it is left to chance; the data say when the lost host did.
- *detect* ends when the contestant records the loss, *decide* and *fence* when it records an order
  and the proof, *start* with the first answer. A phase that comes more than once is added up.
- Holdfast: detect ends with `node_suspected` or the failed `health_signal`, fence with
  `fence_finished` (off) or, without a device, `lease_revoked`, decide with `order_sent` or
  `recovery_started`.
- Pacemaker: three full nodes, of which the witness is in standby; Corosync over knet, no option
  changed (token 3.65 s for three nodes, consensus 4.38 s); stonith on; the ledger by an OCF agent
  whose start returns as soon as it answers, monitored every 10 s, which is what `pcs` takes from
  an agent's metadata; resource-stickiness 1, also as `pcs` has it. Detect ends with the new
  membership or the failed monitor, decide is the time to the request to fence, and from the
  proof to the start operation; after a failed monitor, to the stop operation.
- keepalived: VRRP at its defaults (an advertisement a second) moves an address between two hosts
  where the ledger runs already. It proves nothing and starts nothing; so it is a lower bound for
  services without state, not a peer. It notes only when it becomes master.
"""


def page(measurement: Measurement) -> str:
    """The whole page in Markdown."""
    parts = [_INTRODUCTION, _facts(measurement)]
    parts += [_section(fault, measurement.results) for fault in GOALS]
    parts += [_failures(measurement.results), _METHOD]
    return "\n".join(part for part in parts if part)


def _facts(measurement: Measurement) -> str:
    machine = "; ".join(f"{name} {value}" for name, value in measurement.machine.items())
    versions = {
        name: version for result in measurement.results for name, version in result.versions.items()
    }
    measured = ", ".join(f"{name} {version}" for name, version in versions.items())
    return f"Taken {measurement.taken}.\nMachine: {machine}.\nMeasured: {measured}.\n"


def _section(fault: str, results: Sequence[Result]) -> str:
    summaries = {one.name: summary(one.of(fault)) for one in results}
    peer = summaries.get(PEER)
    lines = [
        f"## {HEADINGS[fault]}",
        f"| | runs | median | least to most | {' | '.join(PHASES)} | × Pacemaker |",
        "|---|---|---|---|" + "---|" * len(PHASES) + "---|",
    ]
    lines += [
        _row(one.title, found, peer)
        for one in results
        if (found := summaries[one.name]) is not None
    ]
    lines += ["", _goal(fault, summaries.get(SUBJECT), peer), *_led(fault, results), ""]
    return "\n".join(lines)


def _row(title: str, found: Summary, peer: Summary | None) -> str:
    phases = [f"{found.phases[name]:.2f}" if name in found.phases else "" for name in PHASES]
    share = ratio(found, peer)
    cells = [
        title,
        str(found.runs),
        f"**{found.median:.2f}**",
        f"{found.least:.2f} to {found.most:.2f}",
        *phases,
        "" if share is None else f"{share:.2f}",
    ]
    return f"| {' | '.join(cells)} |"


def _goal(fault: str, found: Summary | None, peer: Summary | None) -> str:
    share, goal = ratio(found, peer), GOALS[fault]
    if share is None:
        return f"Goal: at most {goal} × Pacemaker. Not measured."
    verdict = "reached" if share <= goal else "missed"
    return f"Goal: at most {goal} × Pacemaker. Seen: {share:.3f}, {verdict}."


def _led(fault: str, results: Sequence[Result]) -> Iterator[str]:
    """How often the lost host led, which costs an election besides."""
    if fault != HOST:
        return
    for one in results:
        runs = one.of(fault)
        leading = [run for run in runs if run.led]
        if leading:
            what = ", ".join(sorted({run.led for run in leading}))
            count = f"{len(leading)} of {len(runs)}"
            yield f"- {one.title}: the lost host also led ({what}) in {count}."


def _failures(results: Sequence[Result]) -> str:
    failed = [f"- {one.title}: {one.failure}" for one in results if one.failure]
    return "\n".join(["## Not measured to the end", *failed, ""]) if failed else ""
