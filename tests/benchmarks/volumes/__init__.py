"""What a block path costs, beside others on the same disk."""
