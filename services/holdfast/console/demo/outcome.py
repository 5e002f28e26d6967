"""What the demonstration promised, and what was seen."""

from dataclasses import dataclass, field


@dataclass
class Promise:
    """One thing that was promised, and what was seen."""

    text: str
    seen: str
    kept: bool


@dataclass
class Outcome:
    """How the demonstration went. `incidents` for `holdfast why`."""

    promises: list[Promise] = field(default_factory=list)
    incidents: list[tuple[str, str]] = field(default_factory=list)
    explanations: list[str] = field(default_factory=list)

    @property
    def kept(self) -> bool:
        """Whether everything promised happened."""
        return bool(self.promises) and all(promise.kept for promise in self.promises)
