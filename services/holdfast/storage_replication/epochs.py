"""Who may use a volume at which epoch. Pure; used for the mark on the volume and for our memory."""

import msgspec


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """The highest epoch at which a volume was activated, and by whom. Epoch 0: never."""

    epoch: int = 0
    node: str = ""
    boot: str = ""


def refusal(known: Mark, wanted: Mark) -> str:
    """Why `wanted` may not be activated where `known` stands; empty if it may."""
    if wanted.epoch < known.epoch:
        return f"epoch {wanted.epoch} is past: {known.node} activated it at epoch {known.epoch}"
    if wanted.epoch == known.epoch and wanted.node != known.node:
        return f"epoch {wanted.epoch} belongs to {known.node}"
    return ""
