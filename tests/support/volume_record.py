"""The record of a played volume."""

from dataclasses import dataclass, field

from holdfast.storage_replication.control import Ask


@dataclass
class Record:
    """`term` rises with every start of the primary's process: what an earlier one asked is void."""

    epoch: int = 0
    primary: str = ""
    in_sync: set[str] = field(default_factory=set)
    following: set[str] = field(default_factory=set)
    before: set[str] = field(default_factory=set)
    """On whom the record counted that was replaced, if it counted on the primary."""
    term: int = 0

    def change(self, ask: Ask, asker: str, term: int) -> bool:
        """Whether it was what the asker believes it is, and is as asked now."""
        if (self.primary, self.epoch, self.term) != (asker, ask.epoch, term):
            return False
        kept = self.following if ask.asynchronous else self.in_sync
        (kept.add if ask.change == "take_in" else kept.discard)(ask.member)
        return True
