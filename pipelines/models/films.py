"""A recipient's own films: read as the sender read theirs, and kept no longer than needed."""

import shutil
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from medidd.dicom.folder.cohort import Cohort
from medidd.dicom.folder.patients import Unit
from medidd.dicom.folder.scan import scan
from medidd.dicom.isolation import Lost, isolated
from medidd.dicom.labels.labelling import USUAL, Labelling
from medidd.dicom.pixels.film import Shown, decoded
from medidd.dicom.reading import Accept, BurnedIn, Files, Reading
from medidd.dicom.refusals import Refusal
from pipelines.run.errors import Exit, Stop
from pipelines.run.films import Studies, read_films
from pipelines.run.progress import Progress

Levels = npt.NDArray[np.uint16]
"""0 to 65535 stand for display values [0, 1]."""


@dataclass(frozen=True)
class OwnFilms:
    """A folder of films.

    How display values are made, what is cut away and which views are used, the bundle decides; else
    the films would not meet the images. What may be used at all is up to the owner of the films.

    Attributes:
        folder: the folder.
        files: what the films are.
        labels: where the labels are and how they are read.
        unit: what counts as one patient.
        max_refused: refused files allowed per usable film.
        accept: what is used although it is refused by default.
        burned_in: what happens to identifiers in the pixels.
    """

    folder: Path
    files: Files = "dicom"
    labels: Labelling = USUAL
    unit: Unit = "patient"
    max_refused: float = 0.2
    accept: tuple[Accept, ...] = ()
    burned_in: BurnedIn = "keep"

    def reading(self, sender: Reading) -> Reading:
        """Returns how these films are read, so that they meet those of the sender."""
        # A lower resolution may not be there, and text cannot be masked in it.
        return replace(
            sender,
            files=self.files,
            accept=self.accept,
            burned_in=self.burned_in,
            fast_j2k=sender.fast_j2k and self.burned_in != "mask",
        )


def read_own(
    films: OwnFilms, sender: Reading, size: int, *, beside: Path
) -> Generator[Progress, None, Cohort]:
    """Reads labelled films; the generator's value is the cohort, in memory.

    Until all are read they lie beside a place. Only a process that is killed leaves them there; the
    same command then goes on with them.

    Args:
        films: the folder.
        sender: how the sender read films.
        size: height and width in pixels.
        beside: what the command will write.

    Raises:
        Stop: they make no cohort.
    """
    place = beside.with_name(f".{beside.name}.films")
    studies = Studies(
        films.folder, films.labels, size, films.unit, films.max_refused, films.reading(sender)
    )
    try:
        yield from read_films(place, studies)
        kept = Cohort.open(place)
        return replace(kept, images=np.array(kept.images))
    except Stop as stop:
        if stop.code != Exit.REFUSED_FILES:
            raise
        raise Stop(f"{stop}; medidd ingest lists them by name", stop.code) from None
    finally:
        shutil.rmtree(place, ignore_errors=True)


def to_learn(cohort: Cohort) -> Cohort:
    """Returns the films that are not of the cohort's official test split.

    Raises:
        Stop: all are.
    """
    rows = [row for row, split in enumerate(cohort.splits.tolist()) if split != "test"]
    if not rows:
        raise Stop(
            "all films are in the test split, so none is left to train on; name others",
            Exit.DATA,
        )
    return _at(cohort, rows)


def to_test(cohort: Cohort) -> Cohort:
    """Returns the films of the cohort's official test split; all films if there is none."""
    rows = [row for row, split in enumerate(cohort.splits.tolist()) if split == "test"]
    return _at(cohort, rows) if rows else cohort


def _at(cohort: Cohort, rows: list[int]) -> Cohort:
    return replace(
        cohort,
        images=cohort.images[rows],
        labels=cohort.labels[rows],
        patients=cohort.patients[rows],
        splits=cohort.splits[rows],
        names=tuple(cohort.names[row] for row in rows),
        traits={name: [words[row] for row in rows] for name, words in cohort.traits.items()},
        films=[cohort.films[row] for row in rows if len(cohort.films)],
        whole=[cohort.whole[row] for row in rows if len(cohort.whole)],
    )


@dataclass(frozen=True, repr=False)
class Unlabelled:
    """Films without labels; without a repr, because file names may name people.

    Attributes:
        kept: what was kept of each film, (n, ...).
        paths: where each film is, below the folder, (n,).
        refused: why other files cannot be used, codes by path.
    """

    kept: npt.NDArray[np.generic]
    paths: tuple[str, ...]
    refused: dict[str, str] = field(default_factory=dict)


def read_unlabelled(
    films: OwnFilms, sender: Reading, size: int, keep: Callable[[Levels], npt.NDArray[np.generic]]
) -> Generator[Progress, None, Unlabelled]:
    """Reads films that need no label; the generator's value is the films, by path.

    Args:
        films: the folder.
        sender: how the sender read films.
        size: height and width in pixels.
        keep: returns what is kept of a film, (size, size), or of its patches, (patches, size,
            size). All patches of all films may be too much to keep.
    """
    reading, root = films.reading(sender), films.folder
    found: dict[str, npt.NDArray[np.generic]] = {}
    refused: dict[str, str] = {}
    usable = []
    for count, one in enumerate(scan(root, reading), 1):
        if isinstance(one, Refusal):
            refused[_below(one.path, root)] = one.code
        else:
            usable.append(one.source)
        if count % _SIGN_OF_LIFE == 0:
            yield Progress("look at files", count, count)
    work = partial(decoded, size=size, reading=reading)
    for done, (source, shown) in enumerate(isolated(work, usable)):
        yield Progress("read films", done, len(usable))
        if isinstance(shown, Shown):
            found[_below(source.place, root)] = keep(shown.levels)
        else:
            assert isinstance(shown, Refusal | Lost)
            refused[_below(source.place, root)] = shown.code
    yield Progress("read films", len(usable), len(usable))
    paths = tuple(sorted(found))
    kept = np.stack([found[path] for path in paths]) if paths else np.zeros(0)
    return Unlabelled(kept, paths, dict(sorted(refused.items())))


_SIGN_OF_LIFE = 1000  # files between two reports of progress


def _below(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()
