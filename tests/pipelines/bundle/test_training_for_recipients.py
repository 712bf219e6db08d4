"""train.py of a bundle trains step by step as medidd's own training does."""

from dataclasses import replace
from itertools import islice
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from medidd.augment import RADIOGRAPH, Omega
from medidd.descent import batches
from medidd.evaluate import RECIPIENT, Training, log_probabilities, train
from pipelines.evaluation.utility import told
from pipelines.learning.recipe import built

PLAIN = Training(steps=12, lr=0.05)
WIDTH, SIZE, CLASSES = 4, 16, 3

TRAININGS = {
    "plain": (6, PLAIN),
    "as the papers": (6, replace(RECIPIENT, steps=12)),
    "with noise": (6, replace(RECIPIENT, steps=12, noise=0.3)),
    "averaged": (6, replace(PLAIN, averaged=0.4)),
    "in batches": (10, replace(PLAIN, batch=4)),
    "in batches, with all": (
        10,
        replace(RECIPIENT, steps=12, batch=4, noise=0.3, averaged=0.5, lr=0.1, momentum=0.5),
    ),
    "more images than a batch has": (300, replace(PLAIN, steps=4)),
}
"""Numbers of images, and how they are trained on."""


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def labelled(n: int) -> tuple[Tensor, Tensor]:
    """Images and soft labels."""
    images = torch.randn(n, 1, SIZE, SIZE, generator=seeded(1)).clamp(-2, 2)
    return images, torch.rand(n, CLASSES, generator=seeded(2)).softmax(1)


@pytest.mark.parametrize(("n", "how"), TRAININGS.values(), ids=TRAININGS)
def test_the_weights_are_medidds_after_every_training(
    code: SimpleNamespace, n: int, how: Training
) -> None:
    network, (images, labels) = built(CLASSES, SIZE, WIDTH)["convnet"], labelled(n)
    theirs = train(network, images, labels, how, seeded())
    ours = code.train.train(images, labels, told(how, WIDTH), seeded())
    moved = ours.classifier.weight - network.init(seeded())["classifier.weight"]
    assert moved.norm() > 0.03
    for name, weight in ours.state_dict().items():
        torch.testing.assert_close(weight, theirs[name], rtol=1e-5, atol=1e-6)
    predicted = code.train.predict([ours], images)
    torch.testing.assert_close(predicted, log_probabilities(network, theirs, images).exp())


@pytest.mark.parametrize("name", ["mlp", "lenet", "alexnet", "vgg11", "resnet18", "densenet121"])
def test_other_networks_train_as_medidds_do(code: SimpleNamespace, name: str) -> None:
    network, (images, labels) = built(CLASSES, SIZE, WIDTH)[name], labelled(4)
    how = replace(RECIPIENT, steps=2)
    theirs = train(network, images, labels, how, seeded())
    ours = code.train.train(images, labels, told(how, WIDTH), seeded(), name)
    torch.testing.assert_close(dict(ours.state_dict()), theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("n", "size"), [(10, 4), (8, 4), (4, 4), (3, 4), (300, 256)])
def test_every_image_comes_once_before_any_comes_again(
    code: SimpleNamespace, n: int, size: int
) -> None:
    of = [list(islice(drawn(n, size, seeded()), 9)) for drawn in (code.train.batches, batches)]
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(*of, strict=True))
    epoch = -(-n // size)
    for start in (0, epoch):
        rows = torch.cat(of[0][start : start + epoch])
        assert rows.sort().values.tolist() == list(range(n))


@pytest.mark.parametrize("operation", RADIOGRAPH)
@pytest.mark.parametrize("size", [16, 21])
def test_an_augmentation_with_given_parameters_is_medidds(
    code: SimpleNamespace, operation: str, size: int
) -> None:
    x = torch.randn(5, 1, size, size, generator=seeded())
    for u in (torch.rand(3, 5, generator=seeded(1)), torch.zeros(3, 5), torch.full((3, 5), 0.999)):
        changed = code.train.augmented(x, operation, u)
        torch.testing.assert_close(changed, Omega(operation, u)(x))
        assert not torch.equal(changed, x)


def test_there_are_augmentations_for_all_that_a_release_tells(code: SimpleNamespace) -> None:
    assert told(RECIPIENT, WIDTH)["augment"] == list(RADIOGRAPH)
    with pytest.raises(ValueError, match="unknown operation flip"):
        code.train.augmented(torch.zeros(1, 1, 16, 16), "flip", torch.zeros(3, 1))


def test_films_are_predicted_in_parts(code: SimpleNamespace) -> None:
    network = code.networks.fresh("convnet", CLASSES, 1, SIZE, WIDTH, seeded())
    films = torch.randn(300, 1, SIZE, SIZE, generator=seeded(1))
    with torch.no_grad():
        torch.testing.assert_close(code.train.predict([network], films), network(films).softmax(1))
