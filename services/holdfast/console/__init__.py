"""The operator's window: the `holdfast` command line, credentials, and clusters on one machine."""
