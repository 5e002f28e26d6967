"""Proving the record: chains of producers, chains of causes, and the tree of an incident."""
