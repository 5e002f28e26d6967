"""What ends a demonstration early."""


class DemoFailed(Exception):
    """Something promised did not happen."""
