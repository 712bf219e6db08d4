"""Who is held out: patient-wise, keyed, and fair."""

from collections import Counter, defaultdict
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medidd.split import CONTROLS, LARGEST_SHARE, assign, tossed

Table = list[tuple[str, int, str]]


def roles(table: Table, key: bytes = b"k", seed: int = 0) -> dict[str, str]:
    patients, labels, splits = zip(*table, strict=True)
    return dict(assign(patients, labels, splits, key=key, seed=seed))


def cohort(*sizes: int, films: int = 1, split: str = "") -> Table:
    """As many patients of each class as said, each with so many films."""
    return [
        (f"{label}-{patient}", label, split)
        for label, size in enumerate(sizes)
        for patient in range(size)
        for _ in range(films)
    ]


@st.composite
def tables(draw: st.DrawFn) -> Table:
    sizes = draw(st.lists(st.integers(2, 9), min_size=1, max_size=3))
    table = []
    for label, size in enumerate(sizes):
        for patient in range(size):
            splits = draw(st.lists(st.sampled_from(["", "train"]), min_size=1, max_size=3))
            table += [(f"{label}-{patient}", label, split) for split in splits]
    table += [(f"t{i}", 0, "test") for i in range(draw(st.integers(0, 3)))]
    return draw(st.permutations(table))


@given(tables(), st.binary(min_size=1), st.integers(0, 2**32))
def test_every_patient_has_one_role_and_every_class_both(
    table: Table, key: bytes, seed: int
) -> None:
    drawn = roles(table, key, seed)
    assert set(drawn) == {patient for patient, _, _ in table}
    of_class = defaultdict(Counter)
    for patient, label in {(patient, label) for patient, label, _ in table}:
        of_class[label][drawn[patient]] += 1
        assert (drawn[patient] == "test") == patient.startswith("t")
    for counts in of_class.values():
        assert counts["member"] >= 1
        assert counts["control"] >= 1


@given(tables(), st.randoms())
def test_roles_do_not_depend_on_the_order_of_films(table: Table, order) -> None:
    shuffled = list(table)
    order.shuffle(shuffled)
    assert list(roles(shuffled).items()) == list(roles(table).items())


@given(st.lists(st.integers(2, 400), min_size=1, max_size=4))
def test_the_same_share_of_every_class_is_held_out(sizes: list[int]) -> None:
    table = cohort(*sizes)
    drawn = roles(table)
    share = min(CONTROLS / sum(sizes), LARGEST_SHARE)
    for label, size in enumerate(sizes):
        held = sum(drawn[f"{label}-{patient}"] == "control" for patient in range(size))
        # The nearest whole number, but never nobody.
        assert abs(held - share * size) <= 0.5 or held == 1 > share * size
        assert held <= max(LARGEST_SHARE * size + 0.5, 1)


@pytest.mark.parametrize(
    ("sizes", "held"),
    [((50, 50), (20, 20)), ((300, 100), (112, 38)), ((2, 10), (1, 4)), ((1500, 500), (112, 38))],
)
def test_150_patients_are_held_out_or_two_in_five(
    sizes: tuple[int, ...], held: tuple[int, ...]
) -> None:
    drawn = Counter(
        patient.split("-")[0]
        for patient, role in roles(cohort(*sizes)).items()
        if role == "control"
    )
    assert tuple(drawn[str(label)] for label in range(len(sizes))) == held


def test_test_patients_are_set_aside_and_do_not_count() -> None:
    table = cohort(50, 50) + [(f"t{i}", i % 2, "test") for i in range(1000)]
    drawn = roles(table)
    assert Counter(drawn.values()) == {"member": 60, "control": 40, "test": 1000}
    assert {p: r for p, r in drawn.items() if r != "test"} == roles(cohort(50, 50))


@pytest.mark.parametrize("split", ["", "train", "val"])
def test_other_splits_are_drawn_alike(split: str) -> None:
    assert roles(cohort(10, 10, split=split)) == roles(cohort(10, 10))


def test_films_per_patient_do_not_matter() -> None:
    assert roles(cohort(20, 20, films=3)) == roles(cohort(20, 20))


@pytest.mark.parametrize("change", [{"key": b"another"}, {"seed": 1}])
def test_another_key_or_seed_gives_another_draw(change: dict) -> None:
    table = cohort(40, 40)
    assert roles(table, **change) != roles(table)
    assert roles(table, **change) == roles(table, **change)


@pytest.mark.parametrize("labels", [(0, 1), (1, 0), (1, 0, 1)])
def test_a_patient_of_two_classes_counts_in_the_lowest(labels: tuple[int, ...]) -> None:
    # Were p counted in class 1, the lone patient of class 1 would be two.
    table = [*(("p", label, "") for label in labels), ("q", 0, ""), ("r", 1, "")]
    with pytest.raises(ValueError, match="class number 1 has a single patient"):
        roles(table)
    drawn = roles([*table, ("s", 1, "")])
    assert {drawn["p"], drawn["q"]} == {drawn["r"], drawn["s"]} == {"member", "control"}


def test_a_class_of_one_patient_is_refused() -> None:
    with pytest.raises(ValueError, match=r"class number 1 has a single patient.*add patients"):
        roles(cohort(5, 1, films=4))


def test_every_patient_is_as_likely_to_be_held_out_and_so_is_every_pair() -> None:
    table, many = cohort(10, 5), 2000
    single, pairs = Counter(), Counter()
    for draw in range(many):
        drawn = roles(table, key=draw.to_bytes(4))
        held = sorted(patient for patient, role in drawn.items() if role == "control")
        single.update(held)
        pairs.update(combinations([patient for patient in held if patient[0] == "0"], 2))
    spread = 5 * (0.24 / many) ** 0.5  # five standard errors
    assert len(single) == 15
    assert all(abs(count / many - 0.4) < spread for count in single.values())
    both = 4 / 10 * 3 / 9
    assert len(pairs) == 45
    assert all(
        abs(count / many - both) < 5 * (both * (1 - both) / many) ** 0.5 for count in pairs.values()
    )


@given(tables(), st.integers(0, 2**32), st.floats(0, 1), st.data())
def test_a_tossed_role_depends_on_nobody_else(
    table: Table, seed: int, share: float, data: st.DataObject
) -> None:
    patients, _, splits = (list(column) for column in zip(*table, strict=True))
    drawn = tossed(patients, splits, key=b"k", seed=seed, share=share)
    gone = data.draw(st.sampled_from(patients))
    left = [(p, s) for p, s in zip(patients, splits, strict=True) if p != gone]
    fewer = tossed(*zip(*left, strict=True), key=b"k", seed=seed, share=share) if left else {}
    assert dict(fewer) == {p: role for p, role in drawn.items() if p != gone}


def test_a_tossed_coin_has_its_public_probability() -> None:
    patients = [str(number) for number in range(20_000)]
    drawn = tossed(patients, [""] * len(patients), key=b"k", seed=0, share=0.15)
    held = Counter(drawn.values())["control"] / len(patients)
    assert abs(held - 0.15) < 4 * (0.15 * 0.85 / len(patients)) ** 0.5
