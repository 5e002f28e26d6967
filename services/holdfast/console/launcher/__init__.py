"""Runs whole clusters on this machine: each place a session of real processes of its own."""
