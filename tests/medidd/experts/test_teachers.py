"""Teachers: what they say of S, and that they follow from their generator."""

from collections.abc import Callable

import torch
from torch import Tensor

from medidd.architectures import mlp
from medidd.data import SyntheticSet
from medidd.evaluate import Training, log_probabilities, train
from medidd.experts.teachers import Teachers, teachers

HOW = Training(steps=20, batch=8)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_labels_are_the_mean_prediction_of_networks_trained_on_the_films(films: Callable) -> None:
    images, labels = films(6)
    f = mlp(2, 1, 16, width=8)
    s = SyntheticSet(images[[0, 3, 7]], torch.full((3, 2), 0.5), torch.zeros(()))
    known = teachers(f, images, labels, 2, 3, seeded(), HOW)
    taught = known.taught(s)

    rng, y = seeded(), torch.eye(2)[labels]
    expected: list[Tensor] = []
    for _ in range(3):
        theta = train(f, images, y, HOW, rng)
        expected.append(log_probabilities(f, theta, s.images).exp())
    torch.testing.assert_close(taught.labels, torch.stack(expected).mean(0))
    assert taught.labels.argmax(1).tolist() == labels[[0, 3, 7]].tolist()
    assert torch.equal(taught.images, s.images)
    torch.testing.assert_close(taught.labels.sum(1), torch.ones(3))


def test_no_teachers_leave_s_as_it_is(films: Callable) -> None:
    images, labels = films(2)
    s = SyntheticSet(images, torch.eye(2)[labels], torch.zeros(()))
    assert Teachers(mlp(2, 1, 16, width=8), []).taught(s) is s
