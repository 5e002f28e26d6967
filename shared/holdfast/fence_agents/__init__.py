"""The fence-agent API: what an agent says of itself, what may be sent to it, and running it."""
