"""What a command reports while it works, and when it is done."""

from dataclasses import dataclass

from pipelines.run.store import Json


@dataclass(frozen=True)
class Progress:
    """How far a command is.

    Attributes:
        stage: what is being done, for people.
        done: units done.
        total: units in all.
        note: more about the stage, such as the last loss.
    """

    stage: str
    done: int
    total: int
    note: str = ""


@dataclass(frozen=True)
class Answer:
    """A result, for people and for scripts.

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
