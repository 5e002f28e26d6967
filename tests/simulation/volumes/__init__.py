"""Volumes on virtual time: the real disk and engine cores over files that forget."""
