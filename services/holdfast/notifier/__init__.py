"""Tells people and systems what happened; see DESIGN.md."""
