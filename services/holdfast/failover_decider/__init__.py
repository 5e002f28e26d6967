"""The judge: votes, correlates, decides, and drives a failover to its end. See DESIGN.md."""
