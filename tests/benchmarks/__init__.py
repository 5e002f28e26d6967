"""Measures beside peers, in one run on one machine: `make bench WHAT=failover N=5`."""
