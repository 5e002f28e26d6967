"""The cores of a volume's primary and replicas: no clock, no sockets, no files of their own."""
