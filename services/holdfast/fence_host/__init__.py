"""A fence agent for hosts that are simulated as Unix sessions on one machine."""
