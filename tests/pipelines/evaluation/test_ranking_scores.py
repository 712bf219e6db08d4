"""The scores of DD-Ranking, worked by hand."""

import numpy as np
import pytest

from pipelines.evaluation.ranking_scores import augmentation_robust, label_robust


def of(*values: float) -> list[np.ndarray]:
    return [np.array([value]) for value in values]


NEITHER = 1 / (1 + np.e)
"""(1 - 1/e) / (e - 1/e), the score of a weighted sum of zero."""


@pytest.mark.parametrize(
    ("accuracies", "w", "score"),
    [
        # It lacks .18 to all films, and gains .18 over random ones.
        ((0.88, 0.70, 0.70, 0.52), 0.5, NEITHER),
        # alpha = .5 * .12 - .5 * .18 = -.03; (e^-.03 - 1/e) / (e - 1/e).
        ((0.88, 0.70, 0.82, 0.70), 0.5, 0.2563672),
        # The weight of the gain: alpha = .75 * .12 - .25 * .18 = .045.
        ((0.88, 0.70, 0.82, 0.70), 0.75, 0.2885244),
        # The ends: nothing is gained and all is lacking, and the other way round.
        ((1.0, 0.0, 0.0, 1.0), 0.5, 0.0),
        ((0.0, 1.0, 1.0, 0.0), 0.5, 1.0),
    ],
)
def test_the_label_robust_score(accuracies: tuple[float, ...], w: float, score: float) -> None:
    assert label_robust(*of(*accuracies), w) == pytest.approx(score, abs=1e-6)


@pytest.mark.parametrize(
    ("accuracies", "gamma", "score"),
    [
        ((0.7, 0.7, 0.6, 0.6), 0.5, NEITHER),
        # beta = .5 * .1 + .5 * .3 = .2; (e^.2 - 1/e) / (e - 1/e).
        ((0.8, 0.7, 0.9, 0.6), 0.5, 0.3631392),
        # With augmentation alone, and without it alone.
        ((0.8, 0.7, 0.9, 0.6), 1.0, 0.3136873),
        ((0.8, 0.7, 0.9, 0.6), 0.0, 0.4177920),
        ((0.0, 1.0, 0.0, 1.0), 0.5, 0.0),
    ],
)
def test_the_augmentation_robust_score(
    accuracies: tuple[float, ...], gamma: float, score: float
) -> None:
    assert augmentation_robust(*of(*accuracies), gamma) == pytest.approx(score, abs=1e-6)
