"""Why a cluster could not be started, stopped or reached on this machine."""

from holdfast.errors import HoldfastError


class LaunchError(HoldfastError):
    """The launcher cannot do what was asked; nothing was started."""
