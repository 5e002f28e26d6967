"""The cores of the safety layer under a simulated hostile world."""
