"""What a command prints: lines for people and one object for scripts."""

from dataclasses import dataclass

from pipelines.run.store import Json


@dataclass(frozen=True)
class Answer:
    """A result in both forms.

    Attributes:
        lines: for people.
        value: for scripts.
    """

    lines: list[str]
    value: Json

    def text(self) -> str:
        """Returns the lines."""
        return "\n".join(self.lines)

    def json(self) -> Json:
        """Returns the object."""
        return self.value
