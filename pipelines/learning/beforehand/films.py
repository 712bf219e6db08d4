"""By what the films are known that something was trained on."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from privacy.release import Films


def digest(films: Films) -> str:
    """Returns 16 hexadecimal digits that tell these films and their labels from others."""
    pixels = hashlib.sha256(films.images.numpy().tobytes())
    pixels.update(films.labels.numpy().tobytes())
    return pixels.hexdigest()[:16]


def require_films(
    folder: Path, found: Mapping[str, Any], wanted: Mapping[str, Any], command: str
) -> None:
    """Checks that the films are those that something was trained on, if all else is as wanted.

    Args:
        folder: of what was trained.
        found: what it was made for.
        wanted: what it must have been made for.
        command: that makes it.

    Raises:
        ValueError: the films are others.
    """
    unlike = {name for name in wanted if found.get(name) != wanted[name]}
    if unlike == {"films"}:
        raise ValueError(
            f"{folder}: trained on other films; use the films, --seed, --epsilon and --patients of "
            f"that training, for these decide who is held out, or train for this run with {command}"
        )
