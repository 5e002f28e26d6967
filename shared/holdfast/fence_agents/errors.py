"""Why an agent cannot be used."""

from holdfast.errors import HoldfastError


class FenceError(HoldfastError):
    """An agent that cannot be used as configured, or did not answer. Proves nothing of the node."""
