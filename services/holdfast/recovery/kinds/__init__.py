"""Resource kinds: how something is started and stopped, and how it is known to be stopped."""
