"""The process that moves one volume's data."""
