"""Why an order was not carried out: each error names the place and the cure."""


class FenceError(Exception):
    """The order failed or was refused; nothing may be concluded about the host."""

    def __init__(self, problem: str, *, place: str, cure: str) -> None:
        super().__init__(f"{place}: {problem}\n  cure: {cure}")
        self.problem = problem
        self.place = place
        self.cure = cure
