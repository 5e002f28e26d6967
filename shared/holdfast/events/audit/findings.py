"""What an audit may find, and the form in which it says so."""

from enum import StrEnum

import msgspec


class Kind(StrEnum):
    """What is wrong. Each has a cure in `CURES`."""

    BAD_HASH = "bad_hash"
    BROKEN_LINK = "broken_link"
    GAP = "gap"
    FORK = "fork"
    SECOND_BEGINNING = "second_beginning"
    UNREADABLE = "unreadable"
    ORPHAN = "orphan"
    ROOTLESS = "rootless"
    CYCLE = "cycle"
    SAME_ID = "same_id"
    UNPROVEN_WORD = "unproven_word"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that should not be. `source` is the producer, `event` the id it is about."""

    kind: Kind
    source: str
    event: str
    detail: str


class Producer(msgspec.Struct, frozen=True, kw_only=True):
    """One producer's part of the record. `repeated` counts copies, which at-least-once allows."""

    source: str
    events: int
    repeated: int
    first: str
    last: str
    ok: bool


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The result of an audit. It passes if there is no finding.

    `whole` is False if the record was full and its oldest events are gone; the rest is verified.
    """

    events: int
    whole: bool
    incidents: int
    producers: list[Producer]
    findings: list[Finding]
    words: int = 0
    """Operators' words whose signatures fit."""
    operators_known: bool = True
    """Whether their keys could be compared with those of the cluster's operators."""

    @property
    def passed(self) -> bool:
        """Whether the record proves itself."""
        return not self.findings


CURES = {
    Kind.BAD_HASH: "this event was changed after it was produced: restore the stream's backup",
    Kind.BROKEN_LINK: "an event before it was replaced: restore the stream's backup",
    Kind.GAP: "events are missing: if the place was down, audit again once it has published its"
    " spool; else they were removed",
    Kind.FORK: "two events claim one place in the chain: find the second writer with this identity",
    Kind.SECOND_BEGINNING: "the producer lost its state folder and began anew; explain the loss",
    Kind.UNREADABLE: "something other than a Holdfast service published it: check the permissions",
    Kind.ORPHAN: "the event it refers to is not in the record: if its producer was down, audit"
    " again once it has published its spool",
    Kind.ROOTLESS: "an action without a signal or request behind it: report this as a bug",
    Kind.CYCLE: "causes cannot form a circle: some event was forged",
    Kind.UNPROVEN_WORD: "nobody but the decider says that an operator gave this word: ask the"
    " operator; a key that was replaced stays in public_keys.json, under a name like operator-2026",
    Kind.SAME_ID: "two different events carry one id: some event was forged",
}
"""What an operator does about each kind."""
