"""Drills: what was predicted for a real cluster, and what happened there."""
