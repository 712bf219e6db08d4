"""The films of a run, by role: members, controls, test patients."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from medidd.dicom.folder.cohort import Cohort
from medidd.split import Role, assign, tossed
from pipelines.run.errors import Exit, Stop
from pipelines.run.films import Studies, link_films, open_cohort, read_films
from pipelines.run.installation import key
from pipelines.run.progress import Progress
from pipelines.run.store import Run, once
from privacy.release import Films


@dataclass(frozen=True)
class Patients:
    """A cohort whose patients have roles.

    Attributes:
        cohort: the films.
        roles: the role of each patient.
    """

    cohort: Cohort
    roles: Mapping[str, Role]

    @property
    def unit(self) -> str:
        """What counts as one patient; '' if the patient of a film is not known."""
        return self.cohort.unit if self.cohort.tells_patients_apart else ""

    @property
    def members(self) -> Films:
        """Films to learn from."""
        return self._films("member")

    @property
    def controls(self) -> Films:
        """Films of the held-out patients."""
        return self._films("control")

    @property
    def test(self) -> Films:
        """Films to test classifiers on: the cohort's own test split, else the controls."""
        return self._films(self.tested)

    @property
    def tested(self) -> Role:
        """The role of the patients on whose films classifiers are tested."""
        return "test" if "test" in self.roles.values() else "control"

    def rows(self, role: Role) -> list[int]:
        """Returns the rows of the cohort that are of patients of a role."""
        return [i for i, p in enumerate(self.cohort.patients) if self.roles[str(p)] == role]

    def _films(self, role: Role) -> Films:
        return films_of(self.cohort, self.rows(role))


def films_of(cohort: Cohort, rows: Sequence[int]) -> Films:
    """Returns some films of a cohort, display values in [0, 1]."""
    chosen = list(rows)
    levels = torch.from_numpy(cohort.images[chosen].astype("float32"))
    return Films(
        levels.unsqueeze(1).div_(65535),  # in place: all films once, and not twice
        torch.from_numpy(cohort.labels[chosen]),
        [str(patient) for patient in cohort.patients[chosen]],
        {name: [words[i] for i in chosen] for name, words in cohort.traits.items()},
    )


def read_patients(
    run: Run, studies: Studies, *, seed: int, held_out: float | None = None
) -> Generator[Progress, None, Patients]:
    """Reads the films of a folder into a run; the generator's value is its patients.

    Once roles are drawn, the films are fixed: a later change of the folder must not change the
    cohort of a release.

    Args:
        run: the run.
        studies: the folder, and how it is read.
        seed: of the roles.
        held_out: as for ``assigned``.

    Raises:
        Stop: the folder gives no cohort, or one that is too small.
    """
    if not run.ledger.exists():
        try:
            yield from read_films(run.cohort, studies, refused_list=run.refused)
        except Stop as stop:
            if stop.code != Exit.REFUSED_FILES:
                raise
            raise Stop(f"{stop}; medidd ingest lists them by name", Exit.REFUSED_FILES) from None
    return assigned(run, open_cohort(run), key=key(), seed=seed, held_out=held_out)


def linked_patients(
    run: Run, made: Path, *, seed: int, held_out: float | None = None
) -> Generator[Progress, None, Patients]:
    """Gives a run the films of a cohort; see ``read_patients``.

    Args:
        run: the run.
        made: folder of the cohort.
        seed: of the roles.
        held_out: as for ``assigned``.
    """
    if not run.cohort.exists():
        link_films(run.cohort, made)
    yield Progress("take films", 1, 1)
    return assigned(run, open_cohort(run), key=key(), seed=seed, held_out=held_out)


def assigned(
    run: Run, cohort: Cohort, *, key: bytes, seed: int, held_out: float | None = None
) -> Patients:
    """Returns the cohort with its roles; the first call also stores them in the run.

    They follow from key, seed and cohort, so a later call draws them again and compares.

    Args:
        run: the run.
        cohort: its films.
        key: the installation's secret.
        seed: the run's seed.
        held_out: probability that a patient is held out, each alone, for a run with a guarantee;
            None to hold out the same share of every class.

    Raises:
        Stop: a class has too few patients to learn from some and hold out others, or the stored
            roles are not those that are drawn (code 6).
    """

    def draw() -> Mapping[str, Role]:
        names = [str(patient) for patient in cohort.patients]
        splits = [str(split) for split in cohort.splits]
        if held_out is not None:
            require_independent(cohort)
            roles = tossed(names, splits, key=key, seed=seed, share=held_out)
            if not {"member", "control"} <= set(roles.values()):
                raise ValueError(
                    "the coins left nobody to learn from, or nobody to hold out: the cohort is far "
                    "smaller than --patients says; say about how many patients there are"
                )
            return roles
        labels = [int(label) for label in cohort.of_films]
        return assign(names, labels, splits, key=key, seed=seed)

    try:
        drawn = draw()
    except ValueError as error:
        raise Stop(str(error), Exit.DATA) from None
    try:
        same = once(run.ledger, lambda: drawn) == drawn
    except (ValueError, RecursionError):  # no JSON
        same = False
    if not same:
        raise Stop(
            f"{run.ledger}: damaged or changed, these are not the members and controls that were "
            "drawn; make the run again with medidd distill",
            Exit.AUDIT,
        )
    return Patients(cohort, drawn)


ENTANGLED = (
    *("study_of_several_ids", "study_uid_on_most_ids", "id_of_several_issuers", "placeholder_id"),
    *("label_key_of_several_patients", "conflicting_duplicate", "label_ambiguous"),
    "region_ambiguous",
)
"""Codes of docs/ingest.md that say: headers or tables of one patient decide about others' films."""


def require_independent(cohort: Cohort) -> None:
    """Checks that no patient of a run with a guarantee decides about the films of another.

    The guarantee compares cohorts that differ by one patient. If one more patient also moved films
    of others, or left them out, several patients would differ.

    Raises:
        ValueError: one does.
    """
    said = {**cohort.evidence, **cohort.refused}
    if found := [f"{code} {said[code]}" for code in ENTANGLED if said.get(code)]:
        raise ValueError(
            f"headers or tables of some patients decide about films of others "
            f"({', '.join(found)}; docs/ingest.md explains the codes), and no guarantee covers "
            "that. Correct them or leave these films out; or use --epsilon none for a release "
            "without a guarantee"
        )


def require_enough(patients: Patients, ipc: int, *, unfold: int) -> None:
    """Checks that every class has films for a baseline of the release's size, and for a test.

    Args:
        patients: the films.
        ipc: images per class that are learned.
        unfold: released images per learned image.

    Raises:
        Stop: a class has too few films.
    """
    names = patients.cohort.classes
    learn = torch.bincount(patients.members.labels, minlength=len(names)).tolist()
    smallest = min(learn)
    if ipc * unfold > smallest:
        most = smallest // unfold
        given = f"ipc {ipc}" if unfold == 1 else f"ipc {ipc}, which gives {ipc * unfold} images,"
        remedy = f"use --ipc {most} or less" if most else "add films of that class"
        raise Stop(
            f"{given} is larger than a class: class number {learn.index(smallest)} has "
            f"{smallest} films to learn from; {remedy}",
            Exit.DATA,
        )
    if not torch.bincount(patients.test.labels, minlength=len(names)).all():
        raise Stop(
            "a class has no film to test on; add patients of that class or, if there are far fewer "
            "patients than --patients says, say about how many there are",
            Exit.DATA,
        )
