"""Clusters whose places are network namespaces, on a switch that loses what it is told to lose."""
