"""A copy is tied to the file or device that it is on.

What is beside the data says what the data lacks: of another disk, of the same size and under the
same name, it would say "nothing".
"""

from holdfast.storage_replication.disk.errors import DiskRefused
from holdfast.storage_replication.interfaces import Store

NAME = "backing"


def tie(store: Store, found: str) -> None:
    """From now on the copy is on what has this identity (`blocks.identity`). Raises OSError."""
    store.replace(NAME, found.encode())


def tied(store: Store) -> bool:
    """Whether it is known to be on something; not, if that had no identity, or if an older Holdfast
    made the copy. Raises OSError."""
    return bool(store.read(NAME))


def same(store: Store, found: str) -> bool:
    """Whether it is on that. Raises OSError."""
    return store.read(NAME) == found.encode()


def require(store: Store, found: str, *, place: str, file: str) -> None:
    """Raises DiskRefused if it is on something else than `found`; OSError.

    `place`: its folder, and `file`: its path, for messages.
    """
    if not same(store, found):
        known = (store.read(NAME) or b"").decode("utf-8", "replace")
        raise DiskRefused(
            f"it is another one than this copy was on: {known or 'not known'} then, "
            f"{found or 'not known'} now",
            place=file,
            cure=f"this is another disk than the copy was on. Name the right one in the cluster "
            "file; if it is gone, `holdfast volume members remove`, then `add`; only if all was "
            f"moved here while nothing ran, rm {place}/{NAME}",
        )
