"""A run with its job and its patients: what every command that looks at a run begins with."""

from dataclasses import dataclass

from pipelines.learning.job import FrozenJob, read_job
from pipelines.learning.recipe import Recipe
from pipelines.run.films import open_cohort
from pipelines.run.installation import key
from pipelines.run.patients import Patients, assigned
from pipelines.run.store import Run


@dataclass(frozen=True)
class OpenedRun:
    """A run with all that it was made from.

    Attributes:
        run: its folder.
        frozen: what it was asked.
        patients: its films, by role.
    """

    run: Run
    frozen: FrozenJob
    patients: Patients

    @property
    def recipe(self) -> Recipe:
        """How its release is made."""
        return self.frozen.recipe(len(self.patients.cohort.classes))


def open_run(run: Run) -> OpenedRun:
    """Returns the run with what it needs from disk.

    Raises:
        Stop: its films are gone or damaged.
    """
    frozen = read_job(run)
    patients = assigned(
        run, open_cohort(run), key=key(), seed=frozen.seed, held_out=frozen.held_out
    )
    return OpenedRun(run, frozen, patients)
