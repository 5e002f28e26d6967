"""Volumes in the hands of ordinary clients: `make volumes`."""
