"""The whole audit of a record, one event at a time, so that no record is too long for it."""

from collections.abc import Collection

from holdfast.events.audit.causes import Causes
from holdfast.events.audit.chains import Chains
from holdfast.events.audit.findings import Finding, Kind, Report
from holdfast.events.audit.words import Words
from holdfast.events.envelope import Envelope, MalformedEvent, decode_envelope


class Audit:
    """Feed it every message of the record, then ask for the report.

    `whole` is False for a record that was full and dropped its oldest events: then chains may
    begin late and causes may be older than the first event fed, which must be the oldest.
    `operators` are the public keys of those whose word may fence a node; None: they are not known
    here, and whose the keys are that signed is left open.
    """

    def __init__(self, *, whole: bool = True, operators: Collection[str] | None = None) -> None:
        self.events = 0
        self._whole = whole
        self._oldest = ""
        self._chains = Chains()
        self._causes = Causes()
        self._operators_known = operators is not None
        self._words = Words(operators)
        self._unreadable: list[Finding] = []

    def add_raw(self, raw: bytes, *, place: str) -> None:
        """Take one stored message in. `place` says where it stood; nonsense is a finding."""
        try:
            self.add(decode_envelope(raw, place=place))
        except MalformedEvent as error:
            self.events += 1
            self._unreadable.append(
                Finding(kind=Kind.UNREADABLE, source=place, event="", detail=error.problem)
            )

    def add(self, envelope: Envelope) -> None:
        """Take one event in, in any order."""
        self.events += 1
        if not self._whole and not self._oldest:
            self._oldest = envelope.id
        self._chains.add(envelope)
        self._causes.add(envelope)
        self._words.add(envelope)

    def report(self) -> Report:
        """What the record proves, and what it does not."""
        producers, findings = self._chains.verify(whole=self._whole)
        return Report(
            events=self.events,
            whole=self._whole,
            incidents=self._causes.incidents,
            producers=producers,
            findings=self._unreadable
            + findings
            + self._causes.verify(oldest=self._oldest)
            + self._words.findings,
            words=self._words.verified,
            operators_known=self._operators_known,
        )
