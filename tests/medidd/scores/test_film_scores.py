"""Scores beside scikit-learn, and intervals by their coverage."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, recall_score, roc_auc_score
from torch import Tensor
from torch.nn.functional import one_hot

from medidd.scores.films import METRICS, Interval, score, weighted_auc


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.booleans(), st.integers(0, 3), st.floats(0.1, 2)),
        min_size=2,
        max_size=30,
    )
)
def test_weighted_auc_is_scikit_learns_ties_included(rows: list[tuple]) -> None:
    scores, positive, counts, masses = (np.array(column) for column in zip(*rows, strict=True))
    weights = np.stack([np.ones(len(rows)), counts, masses])
    ours = weighted_auc(scores.astype(float), positive, weights)
    for area, weight in zip(ours, weights, strict=True):
        held = weight > 0
        if len(set(positive[held])) < 2:
            assert math.isnan(area)
        else:
            theirs = roc_auc_score(positive[held], scores[held], sample_weight=weight[held])
            assert area == pytest.approx(theirs)


def test_weighted_auc_is_the_weighted_share_of_won_pairs() -> None:
    scores, positive = np.array([3.0, 1.0, 1.0, 2.0]), np.array([True, True, False, False])
    weights = np.array([[1.0, 1, 1, 1], [2, 1, 3, 1]])
    # Pairs: 3>1, 3>2, 1=1, 1<2.
    expected = [(1 + 1 + 0.5 + 0) / 4, (6 + 2 + 1.5 + 0) / (3 * 4)]
    assert weighted_auc(scores, positive, weights) == pytest.approx(expected)


def predictions(
    n: int, classes: int, skill: float, seed: int, nets: int = 1
) -> tuple[list[Tensor], Tensor]:
    rng = np.random.default_rng(seed)
    labels = torch.from_numpy(rng.permutation(np.arange(n) % classes))
    signal = skill * one_hot(labels, classes).double()
    drawn = [torch.from_numpy(rng.normal(size=(n, classes))) for _ in range(nets)]
    return [(signal + noise).softmax(1) for noise in drawn], labels


def own(n: int) -> np.ndarray:
    """Every film its own patient."""
    return np.array([f"p{i:04d}" for i in range(n)])


def values(scored: dict[str, Interval]) -> dict[str, float]:
    return {name: interval.mean for name, interval in scored.items()}


def test_scores_of_two_classes_are_those_of_the_second() -> None:
    (predicted,), labels = predictions(60, 2, 1.0, seed=1)
    ours = values(score([predicted], labels, own(60), seed=0, replicates=20))
    truth, called = labels.numpy(), predicted.argmax(1).numpy()
    sensitivity = recall_score(truth, called)
    specificity = recall_score(truth, called, pos_label=0)
    assert 0.5 < sensitivity != specificity
    assert ours == pytest.approx(
        {
            "auc": roc_auc_score(truth, predicted[:, 1].numpy()),
            "balanced_accuracy": balanced_accuracy_score(truth, called),
            "sensitivity": sensitivity,
            "specificity": specificity,
            "hm": 2 / (1 / sensitivity + 1 / specificity),
        }
    )
    assert tuple(ours) == METRICS


def test_scores_of_three_classes_are_means_of_each_against_the_rest() -> None:
    (predicted,), labels = predictions(90, 3, 1.0, seed=2)
    ours = values(score([predicted], labels, own(90), seed=0, replicates=20))
    truth, called = labels.numpy(), predicted.argmax(1).numpy()
    pairs = [
        (recall_score(truth == c, called == c), recall_score(truth != c, called != c))
        for c in range(3)
    ]
    assert ours == pytest.approx(
        {
            "auc": roc_auc_score(truth, predicted.numpy(), multi_class="ovr", average="macro"),
            "balanced_accuracy": np.mean(pairs),
            "sensitivity": np.mean([pair[0] for pair in pairs]),
            "specificity": np.mean([pair[1] for pair in pairs]),
            "hm": np.mean([2 * a * b / (a + b) for a, b in pairs]),
        }
    )


def test_scores_of_several_networks_are_their_mean() -> None:
    predicted, labels = predictions(40, 2, 1.0, seed=3, nets=3)
    together = values(score(predicted, labels, own(40), seed=0, replicates=20))
    alone = [values(score([one], labels, own(40), seed=0, replicates=20)) for one in predicted]
    assert together == pytest.approx(
        {name: np.mean([one[name] for one in alone]) for name in METRICS}
    )


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        ([0, 0, 1, 1], dict.fromkeys(METRICS, 1.0)),
        ([1, 1, 0, 0], dict.fromkeys(METRICS, 0.0)),
        (
            [1, 1, 1, 1],
            {
                "auc": 0.5,
                "balanced_accuracy": 0.5,
                "sensitivity": 1.0,
                "specificity": 0.0,
                "hm": 0.0,
            },
        ),
    ],
    ids=["right", "wrong", "always yes"],
)
def test_scores_of_perfect_wrong_and_idle_predictions(
    calls: list[int], expected: dict[str, float]
) -> None:
    predicted = torch.eye(2)[calls]
    scored = score([predicted], torch.tensor([0, 0, 1, 1]), own(4), seed=0, replicates=200)
    assert values(scored) == expected
    assert all(interval.low == interval.high == interval.mean for interval in scored.values())


# Intervals.


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_an_interval_holds_its_point(classes: int, seed: int) -> None:
    predicted, labels = predictions(60, classes, 1.5, seed=seed, nets=2)
    for interval in score(predicted, labels, own(60), seed=0, replicates=400).values():
        assert interval.low < interval.mean < interval.high


def width(interval: Interval) -> float:
    return interval.high - interval.low


@pytest.mark.parametrize("metric", METRICS)
def test_few_patients_make_wide_intervals(metric: str) -> None:
    few, many = (
        score(*predictions(n, 2, 1.0, seed=1), own(n), seed=0, replicates=400)[metric]
        for n in (16, 1600)
    )
    # Ten times as wide by the root of n; the draw of so few patients leaves some play.
    assert 5 < width(few) / width(many) < 20


def test_networks_that_disagree_widen_the_interval() -> None:
    (good, *_), labels = predictions(100, 2, 2.0, seed=1)
    (bad, *_), _ = predictions(100, 2, 0.0, seed=1)
    alike = score([good, good], labels, own(100), seed=0, replicates=400)["auc"]
    apart = score([good, bad], labels, own(100), seed=0, replicates=400)["auc"]
    assert width(apart) > 2 * width(alike)


def test_an_interval_follows_from_its_seed() -> None:
    predicted, labels = predictions(30, 2, 1.0, seed=1)
    first = score(predicted, labels, own(30), seed=0, replicates=50)
    assert score(predicted, labels, own(30), seed=0, replicates=50) == first
    assert score(predicted, labels, own(30), seed=1, replicates=50) != first


def test_copies_of_every_film_add_no_certainty() -> None:
    (predicted,), labels = predictions(30, 2, 1.0, seed=1)
    once = score([predicted], labels, own(30), seed=0, replicates=300)
    fourfold = score(
        [predicted.repeat(4, 1)], labels.repeat(4), np.tile(own(30), 4), seed=0, replicates=300
    )
    for name in METRICS:
        assert (once[name].low, once[name].mean, once[name].high) == pytest.approx(
            (fourfold[name].low, fourfold[name].mean, fourfold[name].high)
        )
    taken_for_patients = score(
        [predicted.repeat(4, 1)], labels.repeat(4), own(120), seed=0, replicates=300
    )
    assert width(taken_for_patients["auc"]) < 0.75 * width(once["auc"])


def test_films_in_another_order_give_the_same_interval() -> None:
    (predicted,), labels = predictions(30, 2, 1.0, seed=1)
    patients = own(10).repeat(3)
    order = np.random.default_rng(0).permutation(30)
    one = score([predicted], labels, patients, seed=0, replicates=50)
    other = score([predicted[order]], labels[order], patients[order], seed=0, replicates=50)
    for name in METRICS:
        assert (one[name].low, one[name].high) == pytest.approx((other[name].low, other[name].high))


def test_intervals_cover_the_true_value_though_films_of_a_patient_are_alike() -> None:
    rng = np.random.default_rng(0)
    patients, each, rounds = 60, 4, 150
    # A film's score is 1 for its class, plus its patient's own N(0, 1), plus N(0, 0.3^2).
    true = 0.5 * (1 + math.erf(1 / math.sqrt(2 * (1 + 0.09)) / math.sqrt(2)))
    covered = naive = 0
    for _ in range(rounds):
        owner = np.arange(patients).repeat(each)
        labels = owner % 2
        patient = rng.normal(size=patients)[owner]
        scores = labels + patient + 0.3 * rng.normal(size=len(owner))
        probabilities = torch.from_numpy(np.stack([-scores, scores], 1)).softmax(1)
        truth = torch.from_numpy(labels)
        for name in ("patients", "films"):
            units = own(patients)[owner] if name == "patients" else own(len(owner))
            interval = score([probabilities], truth, units, seed=0, replicates=200)["auc"]
            hit = interval.low <= true <= interval.high
            covered += hit and name == "patients"
            naive += hit and name == "films"
    # Of 95 % nominal, less what the bootstrap loses with so few patients.
    assert 0.88 <= covered / rounds <= 0.99
    assert naive / rounds < 0.8
