"""What is wrong with a member's own files."""

from holdfast.errors import HoldfastError


class DiskRefused(HoldfastError):
    """A member's files cannot be used as they are. Says which, why, and what to do."""
