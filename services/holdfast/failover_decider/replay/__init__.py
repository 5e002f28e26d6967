"""`python -m holdfast.failover_decider.replay`: recorded inputs through the core again."""
