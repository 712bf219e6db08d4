"""What a run may spend of its patients' privacy, and the account of what was spent before.

The account is the ledger of this installation. A run reserves its share before it asks the first
question, because a run that is stopped half-way has spent it too. All that was ever spent on one of
the patients adds up, whether or not the release left.
"""

import math
from dataclasses import asdict, dataclass

from medidd.dicom.folder.names import sought
from medidd.split import share_of
from pipelines.run import ledger
from pipelines.run.errors import Exit, Stop
from pipelines.run.patients import Patients
from pipelines.run.store import Json
from privacy.dp.accounting import Guarantee, Series, series_for


@dataclass(frozen=True)
class Budget:
    """The guarantee that a user asks for.

    Attributes:
        epsilon: of this release.
        delta: of this release. The total is judged at the least delta of all releases.
        patients: public number of patients; never counted.
        total: epsilon of all releases of the same patients; None for what the first release
            declared, or for ``epsilon`` if this is the first.

    Raises:
        ValueError: the numbers do not fit each other.
    """

    epsilon: float
    delta: float = 1e-5
    patients: int = 1000
    total: float | None = None

    def __post_init__(self) -> None:
        # NaN is neither above nor below a limit, so each comparison would let it pass.
        for name, number in (("epsilon", self.epsilon), ("delta", self.delta)):
            if not (0 < number < math.inf):
                raise ValueError(f"--{name}: {number} is not a number above 0")
        if self.total is not None and not math.isfinite(self.total):
            raise ValueError(f"--total-epsilon: {self.total} is not a number above 0")
        if self.delta > 1 / (10 * self.patients):
            raise ValueError(
                f"--delta: {self.delta:g} is too large for {self.patients} patients; at most "
                f"{1 / (10 * self.patients):g}"
            )
        if self.total is not None and self.total < self.epsilon:
            raise ValueError(
                f"--total-epsilon: {self.total:g} is less than this release needs, {self.epsilon:g}"
            )

    @property
    def held_out(self) -> float:
        """Probability that a patient is held out; public."""
        return share_of(self.patients)

    def series(self, releases: int) -> Series:
        """Returns the noise that so many releases need together."""
        return series_for(self.epsilon, self.delta, releases)

    def to_json(self) -> Json:
        """Returns a plain dict."""
        return asdict(self)


def reserve(patients: Patients, budget: Budget, series: Series, *, run: str) -> float:
    """Writes into the ledger what a run is about to spend; a run that is resumed spends it once.

    Args:
        patients: whose members are asked about.
        budget: what the user allows.
        series: what the run spends.
        run: name of the run, drawn at random.

    Returns:
        The epsilon that all releases of these patients together may spend.

    Raises:
        Stop: together with earlier releases of these patients it exceeds the declared total, or the
            run reserved something else before.
    """
    people = ledger.people(patients)
    with ledger.locked() as append:
        before = [
            entry
            for entry in ledger.entries()
            if entry.kind == "budget" and not sought(entry.people).isdisjoint(people)
        ]
        declared = [entry.total for entry in before if entry.total is not None]
        asked = budget.total if declared else budget.total or budget.epsilon
        total = min([*declared, *([] if asked is None else [asked])])
        if reserved := [entry for entry in before if entry.release == run]:
            if not _alike(reserved[0].spent, series):
                raise Stop(
                    "this run was begun with another guarantee, and its answers have the noise of "
                    "that one; repeat the command of that run, or name another folder with --out",
                    Exit.AUDIT,
                )
            return total
        if budget.total is not None and budget.total > total:
            raise Stop(
                f"--total-epsilon: the first release of these patients declared {total:g}, and a "
                "total cannot be raised later; leave the option out",
                Exit.AUDIT,
            )
        past = [one for entry in before for one in entry.spent]
        # A larger delta than that of the first release would make the total look less spent.
        delta = min([budget.delta, *(e.delta for e in before if e.delta is not None)])
        needed = Guarantee.of([*past, series], delta).epsilon
        if needed > total * (1 + 1e-9):
            raise Stop(
                f"earlier runs on these patients have spent epsilon "
                f"{Guarantee.of(past, delta).epsilon if past else 0:.2f} of {total:g}, and with "
                f"this run it would be {needed:.2f} (delta {delta:g}). Nothing was asked of the "
                "films. Use a smaller --epsilon, or other patients",
                Exit.AUDIT,
            )
        append(
            ledger.Entry(
                kind="budget",
                release=run,
                people=people,
                verdict="",
                level="",
                spent=(series,),
                total=total,
                delta=delta,
            )
        )
    return total


def _alike(spent: tuple[Series, ...], series: Series) -> bool:
    """Whether this was reserved, but for the last digits, which another scipy may compute."""
    return [one.releases for one in spent] == [series.releases] and math.isclose(
        spent[0].sigma, series.sigma, rel_tol=1e-6
    )
