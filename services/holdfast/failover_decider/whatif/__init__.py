"""`python -m holdfast.failover_decider.whatif`: the cores on the live state, ahead of time."""
