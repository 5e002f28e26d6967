"""Sentences about volumes."""

from holdfast.events import storage
from holdfast.events.sentences.words import number, say, seconds


@say.register
def _(data: storage.VolumeActivated) -> str:
    return (
        f"Volume {data.volume} is usable on {data.node} at epoch {data.epoch} "
        f"({data.driver}, {seconds(data.took)})"
    )


@say.register
def _(data: storage.VolumeReleased) -> str:
    return f"Volume {data.volume} is released on {data.node} (epoch {data.epoch})"


@say.register
def _(data: storage.VolumeRefused) -> str:
    return f"Volume {data.volume} is refused on {data.node} (epoch {data.epoch}): {data.reason}"


@say.register
def _(data: storage.VolumeCreated) -> str:
    copies = ", ".join(data.members)
    return f"Volume {data.volume} is created with {data.size} bytes on {copies}"


@say.register
def _(data: storage.VolumeSetChanged) -> str:
    after = f"in sync: {', '.join(data.in_sync)}"
    if data.following:
        after += f"; following: {', '.join(data.following)}"
    what = {
        "promoted": f"{data.member} is its primary",
        "taken_out": f"{data.member} is taken out",
        "taken_in": f"{data.member} is taken in",
        "added": f"{data.member} is added",
        "removed": f"{data.member} is removed",
        "resized": f"it has {data.size} bytes",
    }[data.change]
    return f"Volume {data.volume} is recorded at epoch {data.epoch}: {what} ({after})"


@say.register
def _(data: storage.VolumeLossAccepted) -> str:
    return f"Volume {data.volume} is promoted on {data.node} with a loss: {data.loss}"


@say.register
def _(data: storage.VolumeMemberLost) -> str:
    return f"Volume {data.volume} loses its copy on {data.member}: {data.reason}"


@say.register
def _(data: storage.VolumeMemberJoined) -> str:
    return f"Volume {data.volume} has all of its data on {data.member} again"


@say.register
def _(data: storage.VolumeFrozen) -> str:
    return f"Writes to volume {data.volume} wait on {data.node} for {', '.join(data.members)}"


@say.register
def _(data: storage.VolumeThawed) -> str:
    return f"Writes to volume {data.volume} go on on {data.node}"


@say.register
def _(data: storage.VolumeResyncStarted) -> str:
    how = ", in place" if data.in_place else ""
    return f"Resync of volume {data.volume} on {data.member}: at most {data.bytes} bytes{how}"


@say.register
def _(data: storage.VolumeResyncFinished) -> str:
    return f"Resync of volume {data.volume} on {data.member} is done: {data.bytes} bytes were sent"


@say.register
def _(data: storage.VolumeDeposed) -> str:
    return (
        f"{data.node} is no longer the primary of volume {data.volume} (epoch {data.epoch}): "
        f"there is one at epoch {data.successor}"
    )


@say.register
def _(data: storage.VolumeDiskFailed) -> str:
    return f"The disk of volume {data.volume} on {data.node} failed: {data.reason}"


@say.register
def _(data: storage.VolumeFallbackLost) -> str:
    return f"Volume {data.volume} on {data.node} has no way back until its resync is done"


@say.register
def _(data: storage.VolumeFellBack) -> str:
    return f"Volume {data.volume} on {data.node} is back at its last consistent state"


@say.register
def _(data: storage.VolumeVerifyCut) -> str:
    return (
        f"The comparison of volume {data.volume} on {data.member} with {data.node} did not end: "
        f"{data.reason}"
    )


@say.register
def _(data: storage.VolumeRepaired) -> str:
    what = f"Volume {data.volume} on {data.member}"
    if data.problem:
        return f"{what} was not repaired: {data.problem}"
    return f"{what} was repaired in {number(data.ranges, 'place')}, with what {data.node} has"


@say.register
def _(data: storage.VolumeVerified) -> str:
    found = number(data.differences, "difference") if data.differences else "no difference"
    if data.unreadable:
        found += f"; {data.node} cannot read {', '.join(data.unreadable)}"
    more = "" if data.complete else "; there is more than was counted and repaired: compare again"
    return f"Volume {data.volume} on {data.member} was compared with {data.node}: {found}{more}"


@say.register
def _(data: storage.VolumeDataPathEnded) -> str:
    return f"The data path of volume {data.volume} on {data.node} ended: {data.reason}"
