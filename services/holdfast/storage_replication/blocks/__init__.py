"""A raw file or block device: what a volume's bytes are on."""
