"""One plausible record with every event type in it: for the documentation and for tests.

Ids, times and hashes are deterministic, so the generated files change only when the types do.
"""

from functools import cache

from holdfast.events.envelope import Envelope
from holdfast.events.example_recorder import Recorder
from holdfast.events.example_story import tell


@cache
def record() -> tuple[Envelope, ...]:
    """The whole example record, in the order of publication."""
    recorder = Recorder()
    tell(recorder)
    return tuple(recorder.envelopes)


def examples() -> dict[str, Envelope]:
    """One example per CloudEvents type: its richest occurrence in the record."""
    best: dict[str, Envelope] = {}
    for envelope in record():
        known = best.get(envelope.type)
        if known is None or len(bytes(envelope.data)) > len(bytes(known.data)):
            best[envelope.type] = envelope
    return best
