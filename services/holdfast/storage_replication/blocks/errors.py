"""Why a backing is not opened."""

from holdfast.errors import HoldfastError


class BackingError(HoldfastError):
    """The file or device cannot be used. Says which, why, and what to do."""


class BackingInUse(BackingError):
    """Somebody else holds it: two writers would destroy the volume."""
