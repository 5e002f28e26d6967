"""Leases by majority vote: the pure core on which "never two owners" rests.

Invariant: at no moment do two holders of one lease both believe it valid, as long as clocks run
at rates that differ by less than margin/ttl.

Why it holds. A holder counts its lease valid until t0 + ttl - margin, where t0 is *before* it
asked. A voter that grants does so at tv >= t0 and agrees to no other holder before tv + ttl. Any
two majorities share a voter; the shared one either still keeps its promise, so no takeover
succeeds, or has let it lapse at tv + ttl, after the holder stopped believing. A takeover with a
fence proof does not wait, because the proof says that the old holder can no longer act. Terms are
stored before they are answered, so a voter that restarts refuses what it refused before; the
promises it forgot are why it abstains from takeovers for one ttl after a start. A voter that has
lost even its terms abstains from everything for one ttl, and only then asks the others for them;
so does one of a new cluster, which cannot tell the two apart.

A ttl need not be everybody's: a promise lasts as long as its request asked. A voter that restarts
with a shorter one knows from its disk how long those before may last. It abstains for that, and
grants nothing that would last longer.
"Any two majorities" are majorities of one set of voters, its electorate. Requests name theirs, and
a voter votes in one electorate only, as long as it remembers anything. Two of them may have
majorities without a common voter; but the second begins only with voters that have no memory, and
these wait for all others of theirs, or for enough that remember.

A revocation is a claim in nobody's name, and is counted and promised as any other.

`voter` is one vote, `holder` counts votes. Neither knows clocks or networks: time is an argument,
in seconds of one machine's own monotonic clock, and times of two machines are never compared.
"""

from holdfast.lease.holder import HolderState
from holdfast.lease.quorum import LEADER_LEASE, electorate, majority, node_lease
from holdfast.lease.voter import Answer, VoterState, another_electorate, answer, learn, settled

__all__ = [
    "LEADER_LEASE",
    "Answer",
    "HolderState",
    "VoterState",
    "another_electorate",
    "answer",
    "electorate",
    "learn",
    "majority",
    "node_lease",
    "settled",
]
