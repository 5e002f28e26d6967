"""What is raised when something that must hold does not."""


class Violation(AssertionError):
    """An invariant does not hold. `name` is its number in the design."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"{name}: {text}")
        self.name, self.text = name, text
