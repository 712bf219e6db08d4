"""What a command reports while it works."""

from dataclasses import dataclass


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
