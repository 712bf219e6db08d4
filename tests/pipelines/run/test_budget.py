"""The account of what was spent on a patient: it adds up, and it never forgets."""

import math
import re
from dataclasses import replace

import pytest
from invented_cohort import Made

from pipelines.learning.opened_run import open_run
from pipelines.learning.plan import Plan
from pipelines.learning.promise import stated
from pipelines.run import ledger
from pipelines.run.budget import Budget, reserve
from pipelines.run.errors import Exit, Stop
from pipelines.run.patients import Patients
from pipelines.run.store import Run


@pytest.fixture
def patients(made: Made) -> Patients:
    return open_run(Run(made.path)).patients


def spend(patients: Patients, budget: Budget, run: str, releases: int = 1) -> float:
    return reserve(patients, budget, budget.series(releases), run=run)


def test_the_first_release_declares_its_own_epsilon_as_the_total(patients: Patients) -> None:
    assert spend(patients, Budget(2.0), "first") == 2.0
    with pytest.raises(Stop, match=re.escape("spent epsilon 2.00 of 2")) as stop:
        spend(patients, Budget(0.1), "second")
    assert stop.value.code == Exit.AUDIT
    assert [entry.kind for entry in ledger.entries()].count("budget") == 1


def test_a_run_that_goes_on_spends_once(patients: Patients) -> None:
    for _ in range(3):
        assert spend(patients, Budget(2.0), "first") == 2.0
    assert [entry.kind for entry in ledger.entries()].count("budget") == 1


def test_releases_add_up_to_the_total_and_no_further(patients: Patients) -> None:
    # Squares of mu add up: two releases of epsilon 1 need more than 1 and less than 2.
    assert spend(patients, Budget(1.0, total=1.5), "first") == 1.5
    assert spend(patients, Budget(1.0), "second") == 1.5
    with pytest.raises(Stop, match="Nothing was asked"):
        spend(patients, Budget(1.0), "third")
    with pytest.raises(Stop, match="cannot be raised"):
        spend(patients, Budget(1.0, total=9.0), "fourth")


def test_many_questions_of_one_release_cost_what_one_does(patients: Patients) -> None:
    assert spend(patients, Budget(1.0, total=1.5), "first", releases=50) == 1.5
    assert spend(patients, Budget(1.0), "second", releases=7) == 1.5


def test_other_patients_have_their_own_account(patients: Patients) -> None:
    spend(patients, Budget(2.0), "first")
    roles = {
        one: "control" if role == "member" else "member" for one, role in patients.roles.items()
    }
    assert spend(replace(patients, roles=roles), Budget(2.0), "second") == 2.0


def test_one_shared_patient_is_enough_to_add_up(patients: Patients) -> None:
    spend(patients, Budget(2.0), "first")
    shared = next(one for one, role in patients.roles.items() if role == "member")
    roles = {
        one: "member" if role == "control" or one == shared else "control"
        for one, role in patients.roles.items()
    }
    with pytest.raises(Stop, match="Nothing was asked"):
        spend(replace(patients, roles=roles), Budget(2.0), "second")


def test_a_larger_delta_does_not_make_room_for_a_second_release(patients: Patients) -> None:
    spend(patients, Budget(3.0), "first")
    with pytest.raises(Stop, match="Nothing was asked"):
        spend(patients, Budget(0.5, delta=1e-4), "second")


def test_a_later_release_may_declare_less_for_all_of_its_patients(patients: Patients) -> None:
    spend(patients, Budget(1.0, total=9.0), "first")
    assert spend(patients, Budget(1.0, total=2.0), "second") == 2.0
    with pytest.raises(Stop, match="Nothing was asked"):
        spend(patients, Budget(2.0), "third")


def test_a_run_cannot_go_on_with_another_guarantee(patients: Patients) -> None:
    spend(patients, Budget(2.0), "first")
    for other in (Budget(1.0), Budget(2.0, delta=1e-6)):
        with pytest.raises(Stop, match="another guarantee"):
            spend(patients, other, "first")
    with pytest.raises(Stop, match="another guarantee"):
        spend(patients, Budget(2.0), "first", releases=2)


def test_what_leaves_says_nothing_of_earlier_releases() -> None:
    """Another cohort's total would tell that one of its patients is a member here."""
    assert stated(Budget(1.0), Plan(1, 9, 3.7), "patient")["total"] is None
    assert stated(Budget(1.0, total=2.0), Plan(1, 9, 3.7), "patient")["total"] == 2.0


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ({"epsilon": 1.0, "delta": 1e-3, "patients": 1000}, "--delta"),
        ({"epsilon": 2.0, "total": 1.0}, "--total-epsilon"),
        ({"epsilon": math.nan}, "--epsilon"),
        ({"epsilon": 1.0, "delta": math.nan}, "--delta"),
        ({"epsilon": 1.0, "total": math.nan}, "--total-epsilon"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(numbers: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Budget(**numbers)


def test_the_share_that_is_held_out_is_public() -> None:
    assert Budget(1.0, patients=1000).held_out == 0.15
    assert Budget(1.0, patients=100).held_out == 0.4
