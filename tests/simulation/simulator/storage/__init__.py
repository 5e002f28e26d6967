"""Replicated volumes in the simulator: the real services and data paths, on virtual time."""
