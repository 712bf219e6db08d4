"""Which rows a cohort has: one for each film, or one for each patch of films that are cut."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medidd.dicom.errors import CohortError
from medidd.dicom.folder.duplicates import Film
from medidd.dicom.folder.plan import Plan
from medidd.dicom.pixels.film import Marked, Shown
from medidd.dicom.source import Source
from medidd.dicom.storage import Rows


@dataclass(frozen=True, repr=False)
class Row:
    """A row of the cohort; without a repr, because it is about a person.

    Attributes:
        place: the film, and of a film that is cut the patch; see ``Rows.images``.
        film: the film.
        label: name of its class.
    """

    place: tuple[int, ...]
    film: Film
    label: str


def work(plan: Plan, row: int) -> Source | Marked:
    """Returns what is decoded for a film."""
    film = plan.films[row]
    return film.source if film.region is None else Marked(film.source, film.region, film.label)


def keep(rows: Rows, row: int, shown: Shown, plan: Plan) -> None:
    """Keeps a film that was decoded."""
    rows.images[row] = shown.levels
    if plan.reading.patches is not None:
        names = plan.names
        of = shown.classes or (plan.films[row].label,) * plan.reading.patches.per_film
        rows.classes[row] = [names.index(label) if label else -1 for label in of]


def table(rows: Rows, plan: Plan, films: Sequence[tuple[int, Film]]) -> list[Row]:
    """Returns the cohort's rows.

    Args:
        rows: what was decoded.
        plan: the plan.
        films: the films that are kept, each with its number in the plan.
    """
    if plan.reading.patches is None:
        return [Row((number,), film, film.label) for number, film in films]
    names = plan.names
    return [
        Row((number, patch), film, names[of])
        for number, film in films
        for patch, of in enumerate(rows.classes[number].tolist())
        if of >= 0
    ]


def require_patches(root: Path, plan: Plan, found: Sequence[Row]) -> None:
    """Checks what only the patches of the whole cohort can show.

    Raises:
        CohortError: a class has patches of fewer than two patients, or films and no patch.
    """
    if plan.reading.patches is None:
        return
    of_class: dict[str, set[str]] = {film.label: set() for film in plan.films}
    for row in found:
        of_class.setdefault(row.label, set()).add(row.film.patient)
    few = sum(len(patients) < 2 for patients in of_class.values())
    if few or len(of_class) < 2:
        raise CohortError(
            f"{root}: {few} of {len(of_class)} classes have patches of fewer than two patients; "
            "check that --regions are in pixels of the stored films, or use a smaller --patch-size "
            "or --stride"
        )
