"""How a command ends when it cannot go on: one line for a person, one code for a script."""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes, part of the interface."""

    BROKEN = 1
    """The installation cannot work; a bug in the program ends with this code, too."""
    USAGE = 2
    """The command line or the configuration is wrong."""
    DATA = 3
    """The films or labels give no cohort."""
    REFUSED_FILES = 4
    """Too many files were unusable."""
    CHANGED = 5
    """A bundle is not the one that was exported."""
    AUDIT = 6
    """The audits do not allow this release to leave."""


class Stop(Exception):  # noqa: N818 - it is no bug
    """Ends a command.

    Attributes:
        code: the exit code.
    """

    def __init__(self, message: str, code: Exit) -> None:
        super().__init__(message)
        self.code = code
