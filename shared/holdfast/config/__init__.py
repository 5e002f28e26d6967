"""The cluster file: its types, and how it is read and checked."""

from holdfast.config.model import ClusterFile

__all__ = ["ClusterFile"]
