"""The NBD protocol and its server: a volume for any NBD client."""
