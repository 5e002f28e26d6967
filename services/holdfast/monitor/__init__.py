"""The monitor: observes one node, layer by layer, and judges nothing. See DESIGN.md."""
