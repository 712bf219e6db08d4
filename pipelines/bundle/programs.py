"""The programs that leave with a bundle, the same bytes in every bundle of a version.

A recipient runs them, so a recipient must be able to see that nobody changed them. ``medidd
verify`` compares them with its own. ``docs/programs.sha256`` is for people without medidd:

    python -m pipelines.bundle.programs > docs/programs.sha256

Nothing heavy is imported here, so a recipient can check a bundle quickly.
"""

from collections.abc import Mapping
from importlib.resources import files
from sys import stdout
from typing import TYPE_CHECKING

from pipelines.bundle.checksums import sums

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

PROGRAMS = (
    "loader.py",
    *("train.py", "networks.py"),
    *("own.py", "kernels.py"),
    "score.py",
    *("prepare.py", "radiograph.py", "display.py"),
)
"""What a recipient reads the images with, trains on them, and prepares and scores films with."""


def program(name: str) -> bytes:
    """Returns a program."""
    return _folder().joinpath(name).read_bytes()


def changed(found: Mapping[str, bytes]) -> list[str]:
    """Returns the programs that are missing or not as this version of medidd has them.

    Args:
        found: files of a bundle, by name.
    """
    return [name for name in PROGRAMS if found.get(name) != program(name)]


def _folder() -> "Traversable":
    return files("pipelines.bundle").joinpath("for_recipients")


if __name__ == "__main__":
    stdout.buffer.write(sums({name: program(name) for name in PROGRAMS}))
