"""The hands of one node: start, stop and locally recover its groups, under the node's lease."""
