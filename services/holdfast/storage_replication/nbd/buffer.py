"""Where `ReceiveBuffer` was; the volumes' simulator still asks for it here."""

from holdfast.storage_replication.receive_buffer import ReceiveBuffer

__all__ = ["ReceiveBuffer"]
