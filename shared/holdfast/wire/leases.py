"""Votes on leases: `ha.lease.<voter>`."""

from typing import Annotated

import msgspec
from msgspec import Meta

from holdfast.events.fields import BootId, Name, Reason, Term
from holdfast.wire.message import Message
from holdfast.wire.proofs import FencedOff

Electorate = Annotated[
    str, Meta(max_length=1000, description="all voters that the cluster file names, sorted")
]
"""Empty: the sender is of a version that did not name them."""


class Renew(Message, frozen=True, kw_only=True, tag="renew"):
    """The holder asks for a fresh promise at the term it holds."""

    lease: Annotated[str, Meta(max_length=80)]
    term: Term
    holder: Name
    boot: BootId
    ttl: Annotated[float, Meta(gt=0, le=60)]
    round: Annotated[int, Meta(ge=0)]
    electorate: Electorate = ""


class Claim(Message, frozen=True, kw_only=True, tag="claim"):
    """Somebody asks to take a lease in a new term; an empty holder revokes it for good."""

    lease: Annotated[str, Meta(max_length=80)]
    term: Term
    holder: Annotated[str, Meta(max_length=64)]
    boot: Annotated[str, Meta(max_length=100)]
    ttl: Annotated[float, Meta(gt=0, le=60)]
    round: Annotated[int, Meta(ge=0)]
    proof: FencedOff | None = None
    electorate: Electorate = ""


class Release(Message, frozen=True, kw_only=True, tag="release"):
    """The holder gives its lease up; others need not wait for it to run out."""

    lease: Annotated[str, Meta(max_length=80)]
    term: Term
    holder: Name
    boot: BootId
    round: Annotated[int, Meta(ge=0)] = 0
    successor: Annotated[str, Meta(max_length=64, description="who is meant to be next")] = ""
    electorate: Electorate = ""


class Learn(Message, frozen=True, kw_only=True, tag="learn"):
    """A voter without memory asks another for the terms it has stored."""

    voter: Name
    electorate: Electorate = ""


LeaseRequest = Renew | Claim | Release | Learn


class LeaseTerm(msgspec.Struct, frozen=True, kw_only=True):
    """What a voter stores durably of one lease: the highest term it agreed to, and for whom."""

    lease: Annotated[str, Meta(max_length=80)]
    term: Term = 0
    holder: Annotated[str, Meta(max_length=64)] = ""
    boot: Annotated[str, Meta(max_length=100)] = ""


class Vote(Message, frozen=True, kw_only=True, tag="vote"):
    """A voter's answer. When refused, `stored` tells the asker what the voter knows."""

    voter: Name
    round: int
    granted: bool
    stored: LeaseTerm
    reason: Reason = ""
    wait: Annotated[float, Meta(ge=0, description="seconds until asking again may help")] = 0.0


class Terms(Message, frozen=True, kw_only=True, tag="terms"):
    """Answer to Learn. A blank voter says so and teaches no terms."""

    voter: Name
    blank: bool
    terms: Annotated[list[LeaseTerm], Meta(max_length=256)]
    electorate: Electorate = ""
    longest_ttl: Annotated[
        float, Meta(ge=0, description="seconds that its longest promise may last; 0: not told")
    ] = 0.0
    buckets: Annotated[
        dict[Name, Annotated[str, Meta(max_length=100)]],
        Meta(max_length=8, description="when the buckets were made that this place remembers"),
    ] = {}


LeaseReply = Vote | Terms
