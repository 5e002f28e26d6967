"""The root of Holdfast's errors: each says what is wrong, where, and what the operator can do."""


class HoldfastError(Exception):
    """An error with its cure. `place` is a file, subject, key or path; `cure` is an instruction."""

    def __init__(self, problem: str, *, place: str, cure: str) -> None:
        super().__init__(f"{place}: {problem}\n  cure: {cure}")
        self.problem = problem
        self.place = place
        self.cure = cure
