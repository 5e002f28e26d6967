"""Verifying each producer's hash chain: no event changed, removed, inserted or reordered."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from holdfast.events.audit.findings import Finding, Kind, Producer
from holdfast.events.envelope import FIRST_PREVIOUS_HASH, Envelope, compute_hash


class Link(NamedTuple):
    """What is kept of an event to verify its chain: a fraction of its size."""

    sequence: int
    hash: str
    previous: str
    event: str
    time: str
    hash_holds: bool


class Chains:
    """Collects the links of every producer. Order of arrival does not matter; copies are counted.

    A producer that was cut off may publish an event twice, so a copy is normal; the same place in
    the chain with another content is a fork.
    """

    def __init__(self) -> None:
        self._links: dict[str, dict[int, list[Link]]] = {}
        self._repeated: dict[str, int] = {}

    def add(self, envelope: Envelope) -> None:
        """Take one event in. Total: nonsense becomes a finding, not an error."""
        sequence = int(envelope.sequence) if _is_number(envelope.sequence) else 0
        link = Link(
            sequence=sequence,
            hash=envelope.hash,
            previous=envelope.previoushash,
            event=envelope.id,
            time=envelope.time,
            hash_holds=_holds(envelope),
        )
        held = self._links.setdefault(envelope.source, {}).setdefault(sequence, [])
        if link in held:
            self._repeated[envelope.source] = self._repeated.get(envelope.source, 0) + 1
        else:
            held.append(link)

    def verify(self, *, whole: bool = True) -> tuple[list[Producer], list[Finding]]:
        """Every producer with its verdict, and all that is wrong, in a fixed order.

        Unless the record is `whole`, chains may begin anywhere: a full record drops its oldest.
        """
        producers: list[Producer] = []
        findings: list[Finding] = []
        for source in sorted(self._links):
            chain = self._links[source]
            found = list(_verify(source, chain, whole=whole))
            ordered = [link for number in sorted(chain) for link in chain[number]]
            producers.append(
                Producer(
                    source=source,
                    events=len(ordered),
                    repeated=self._repeated.get(source, 0),
                    first=ordered[0].time,
                    last=ordered[-1].time,
                    ok=not found,
                )
            )
            findings += found
        return producers, findings


def verify_chains(envelopes: Iterable[Envelope]) -> list[Finding]:
    """All that is wrong with the producers' chains of these events, in any order."""
    chains = Chains()
    for envelope in envelopes:
        chains.add(envelope)
    return chains.verify()[1]


def _verify(source: str, chain: dict[int, list[Link]], *, whole: bool) -> Iterator[Finding]:
    before: list[Link] | None = None
    expected = 1 if whole else min(chain)
    for number in sorted(chain):
        links = chain[number]
        for link in links:
            if not link.hash_holds:
                yield _finding(Kind.BAD_HASH, source, link, "content does not fit its hash")
        if number == 0:
            yield _finding(Kind.BAD_HASH, source, links[0], "its sequence is not a number above 0")
            continue
        if len(links) > 1:
            kind = Kind.FORK if number > 1 else Kind.SECOND_BEGINNING
            yield _finding(kind, source, links[1], f"{len(links)} events claim number {number}")
        if number > expected:
            missing = f"number {expected}" if number == expected + 1 else f"{expected}-{number - 1}"
            yield _finding(Kind.GAP, source, links[0], f"missing before it: {missing}")
            before = None
        yield from _unlinked(source, links, before, number)
        before, expected = links, number + 1


def _unlinked(
    source: str, links: list[Link], before: list[Link] | None, number: int
) -> Iterator[Finding]:
    """Links that do not name any event just before them. After a gap nothing can be compared."""
    if number > 1 and before is None:
        return
    known = {link.hash for link in before} if before else {FIRST_PREVIOUS_HASH}
    for link in links:
        if link.previous not in known:
            detail = f"number {number} does not name the event before it"
            yield _finding(Kind.BROKEN_LINK, source, link, detail)


def _holds(envelope: Envelope) -> bool:
    try:
        return compute_hash(envelope) == envelope.hash
    except (msgspec.DecodeError, RecursionError):
        # Data is only skipped over when an envelope is read; here it proves to be no JSON.
        return False


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _finding(kind: Kind, source: str, link: Link, detail: str) -> Finding:
    return Finding(kind=kind, source=source, event=link.event, detail=detail)
