"""What is said of worth was measured, with no more patients and no larger an epsilon."""

import pytest

from pipelines.commands.guarantee import Plan, plan
from pipelines.learning.worth import AUC, PATIENTS, hint
from pipelines.run.budget import Budget


@pytest.mark.parametrize(
    ("epsilon", "patients", "said"),
    [
        (2.0, 2350, "2350 patients at epsilon 2 gave an AUC of 0.97"),
        (2.9, 2000, "1200 patients at epsilon 2 gave"),
        (3.0, 340, "300 patients at epsilon 3 gave"),
        (10.0, 100_000, "2350 patients at epsilon 10 gave"),
    ],
)
def test_the_hint_never_promises_more_than_was_tried(
    epsilon: float, patients: int, said: str
) -> None:
    assert said in hint(epsilon, patients)


@pytest.mark.parametrize(("patients", "learned", "said"), [(200, 120, 75), (250, 150, 150)])
def test_a_plan_counts_the_patients_that_are_learned_from(
    patients: int, learned: int, said: int
) -> None:
    answer = plan(Plan(Budget(2.0, patients=patients)))
    assert f"of {patients} patients about {learned} are learned from" in answer.text()
    assert f"signal to noise with {learned} patients" in answer.text()
    assert f"moments learned from {said} patients at epsilon 2" in answer.text()
    assert answer.value["learned from"] == learned


@pytest.mark.parametrize(("epsilon", "patients"), [(0.5, 5000), (3.0, 74)])
def test_nothing_is_said_of_what_was_never_tried(epsilon: float, patients: int) -> None:
    assert hint(epsilon, patients) == ""


def test_every_count_has_its_figures() -> None:
    assert all(len(row) == len(PATIENTS) for row in AUC.values())
