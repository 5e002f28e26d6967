"""`docs/network-soak.md`, made of the runs that the file beside it holds. Pure."""

from tests.network.runs import Run, summary, table

NAMES = {
    "device": "a fence device each (`device`)",
    "watchdog": "a watchdog each, which really kills its host (`watchdog`)",
    "lease-only": "nothing but their leases (`lease-only`)",
    "deafen": "a host hears nobody (`deafen`)",
    "mute": "a host is heard by nobody (`mute`)",
    "isolate": "a host is cut off (`isolate`)",
    "freeze": "a host is frozen (`freeze`)",
    "stall": "everything on a host stalls for 5 s (`stall`)",
    "outage": "a switch fails for everybody (`outage`)",
    "loss": "up to 30 % of all packets are lost (`loss`)",
    "path cut": "one of two networks: cut",
    "path flap": "one of two networks: flapping",
    "path mute": "one of two networks: a host is mute on it",
    "path deafen": "one of two networks: a host is deaf on it",
}
_PAGE = """\
# Random faults on real networks

Real clusters, each place a network namespace with its own addresses, on one network or two; hosts
have a fence device, a watchdog, or nothing but their leases. Every run draws one fault from its
seed, by nft rules or SIGSTOP, and says what may come of it; of those on one place, three in five
hit the owner. Standard profile, two busy cores:
{runs} runs, {failed} of them wrong, **{overlaps} overlaps, {unneeded_moves} unneeded moves**, \
{moves} moves where a move was due.

Probes outside ask each host for the service every 50 ms, and look whose processes can act. Nothing
but Holdfast keeps two owners apart: each host has a journal of its own, so a second owner would
serve, and be seen. `make network` proves that: it starts one on purpose, and the run is wrong.

| hosts have | runs | moves | overlaps | longest outage, s |
|---|---|---|---|---|
{by_fencing}

| fault | runs | moves | overlaps | longest outage, s |
|---|---|---|---|---|
{by_fault}

An outage of everything is as long as it lasts, plus a new start where it outlasted the lease. Where
hosts have nothing but their leases, an owner that was frozen past its own is killed once it wakes:
it was there beside the next one for {awake:.2f} s at most. That is what [lease-only
risks](tuning.md#fencing); above one second it counts as an overlap. [All runs](network-soak.json).

```text
make network-soak N=200 SEED=1 JSON=docs/network-soak.json
```
A run takes some 15 s, and each of the six clusters half a minute to start. Seeds that the file
holds are not run again: the same command goes on where it was stopped, and other seeds are added.
This page is written with the file.
"""


def page(runs: list[Run]) -> str:
    """The whole of it."""
    figures = summary(runs)
    return _PAGE.format(
        runs=figures.runs,
        failed=figures.failed,
        overlaps=figures.overlaps,
        unneeded_moves=figures.unneeded_moves,
        moves=figures.moves,
        awake=figures.awake,
        by_fencing="\n".join(table(runs, lambda run: NAMES[run.fencing])),
        by_fault="\n".join(table(runs, lambda run: NAMES[run.fault.kind])),
    )
