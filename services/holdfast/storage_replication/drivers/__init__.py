"""Drivers: one module for each way in which a volume reaches its nodes."""
