"""The example workload: a ledger that acknowledges an entry only when it is on the disk."""
