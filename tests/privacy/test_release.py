import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from privacy import Evidence, Films, Release


def films(patients: list[str], labels: list[int] | None = None) -> Films:
    n = len(patients)
    return Films(torch.zeros(n, 1, 4, 4), torch.tensor(labels or [0] * n), patients)


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.integers(-9, 9)), min_size=1))
def test_a_patients_score_is_the_mean_over_the_films(rows: list[tuple[str, int]]) -> None:
    some = films([one for one, _ in rows])
    found = some.per_patient(torch.tensor([float(x) for _, x in rows]))
    for one, mean in zip(some.ids, found.tolist(), strict=True):
        own = [x for who, x in rows if who == one]
        assert mean == pytest.approx(sum(own) / len(own), abs=1e-5)


def test_the_first_film_of_each_patient_is_found() -> None:
    some = films(["b", "a", "b", "c", "a"])
    assert some.ids == ("b", "a", "c")
    assert some.first.tolist() == [0, 1, 3]
    assert some.patient.tolist() == [0, 1, 0, 2, 1]


def test_a_patient_with_films_of_two_classes_is_a_stratum_of_his_own() -> None:
    assert films(["a", "b", "a", "c"], [0, 1, 1, 0]).strata.tolist() == [3, 2, 1]


def test_films_of_chosen_patients_keep_their_order() -> None:
    assert films(["a", "b", "a", "c"]).of(["c", "a"]).patients == ["a", "a", "c"]


def test_lengths_that_differ_and_numbers_that_are_none_are_refused() -> None:
    images = torch.zeros(2, 1, 4, 4)
    with pytest.raises(ValueError, match="2 images, 3 labels"):
        Release(images, torch.zeros(3, 2))
    with pytest.raises(ValueError, match="2 images, 1 patient ids"):
        Films(images, torch.zeros(2).long(), ["a"])
    with pytest.raises(ValueError, match="not finite"):
        Release(images / 0, torch.zeros(2, 2))
    with pytest.raises(ValueError, match="n of at least 1"):
        Release(images[:0], torch.zeros(0, 2))


def test_a_patient_on_both_sides_is_refused() -> None:
    release = Release(torch.zeros(1, 1, 4, 4), torch.ones(1, 1))
    with pytest.raises(ValueError, match="1 patients are members and controls"):
        Evidence(release, films(["a", "b"]), films(["b", "c"]))
