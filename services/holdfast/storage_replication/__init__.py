"""Volumes of one node: activate and release them, and refuse every epoch that is past."""
