"""How well patients are told apart by their patches, if the films of a run were cut."""

from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from medidd.scores.films import score
from medidd.scores.patient_vote import Ballot, called, threshold
from medidd.split import Role
from pipelines.run.patients import Patients
from pipelines.run.results import OF_PATIENTS
from pipelines.run.store import Json


@dataclass(frozen=True, eq=False)
class Votes:
    """The patches of a run's patients.

    Attributes:
        patients: the films, by role.
    """

    patients: Patients

    @cached_property
    def members(self) -> Ballot:
        """Patients on whom the threshold is chosen."""
        return self._ballot("member")

    @cached_property
    def test(self) -> Ballot:
        """Patients who are judged."""
        return self._ballot(self.patients.tested)

    def _ballot(self, role: Role) -> Ballot:
        cohort, rows = self.patients.cohort, self.patients.rows(role)
        whose = [str(cohort.patients[row]) for row in rows]
        return Ballot(whose, cohort.of_films[rows], np.unique(cohort.of_films).tolist())

    def of_members(self, probabilities: Tensor) -> list[list[float]]:
        """Returns the members' shares of votes, by the network that gave ``probabilities``."""
        shares: list[list[float]] = self.members.shares(_array(probabilities)).tolist()
        return shares

    def judged(
        self, probabilities: list[Tensor], of_members: list[list[list[float]]], seed: int
    ) -> Json:
        """Returns the metrics of the test patients.

        Args:
            probabilities: of the test patches, (n, K), one for each network.
            of_members: what ``of_members`` gave for each network.
            seed: seed of the bootstrap.
        """
        two = len(self.test.counted) == 2
        positive = self.members.truth == 1
        predicted = []
        for network, members in zip(probabilities, of_members, strict=True):
            shares = self.test.shares(_array(network))
            if two:
                at = threshold(np.array(members)[:, 1], positive)
                shares = called(shares, at)
            predicted.append(torch.from_numpy(shares))
        truth = torch.from_numpy(self.test.truth)
        found = score(predicted, truth, self.test.names, seed=seed % 2**32)
        return {f"{OF_PATIENTS}{metric}": asdict(interval) for metric, interval in found.items()}


def votes(patients: Patients) -> Votes | None:
    """Returns the votes of the patches; None if the films are whole."""
    return Votes(patients) if len(patients.cohort.films) else None


def _array(probabilities: Tensor) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
    return probabilities.double().cpu().numpy()
