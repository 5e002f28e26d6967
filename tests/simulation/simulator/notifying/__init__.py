"""The notifier in the simulator: a history is told to people, in trouble of its own."""
