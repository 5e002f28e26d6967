"""What every driver can do. Drivers block: they are called in a thread, with a deadline."""

from typing import Protocol

from holdfast.storage_replication.epochs import Mark


class VolumeProblem(Exception):
    """The volume is not usable, or not by us. Its text is the reason, for people."""


class Driver(Protocol):
    """One configured volume. Every method is idempotent and may be called again after a hang."""

    name: str

    def activate(self, wanted: Mark) -> None:
        """Make it usable here and durably refuse older epochs on the volume itself.

        Raises VolumeProblem or OSError; then older promises still hold.
        """
        ...

    def release(self) -> None:
        """Give it up. Raises VolumeProblem or OSError."""
        ...

    def probe(self, active: Mark) -> None:
        """Prove that it takes writes and that nobody activated it since.

        Raises VolumeProblem or OSError.
        """
        ...
