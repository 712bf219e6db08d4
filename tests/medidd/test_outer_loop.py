"""The one loop that steps every method's S."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from medidd.data import RealSet, Source, SyntheticSet
from medidd.distill import distill, learned


class Bowl:
    """Half the squared distance of the images from 1; counts what it yields."""

    steps = 5

    def __init__(self) -> None:
        self.asked = 0

    def optimizer(self, synthetic: SyntheticSet) -> torch.optim.Optimizer:
        return torch.optim.SGD([synthetic.images], lr=0.5)

    def losses(self, synthetic: SyntheticSet, _: Source, __: torch.Generator) -> Iterator[Tensor]:
        while True:
            self.asked += 1
            yield (synthetic.images - 1).square().sum() / 2


@pytest.fixture
def synthetic() -> SyntheticSet:
    return SyntheticSet(torch.zeros(2, 1, 1, 1), torch.eye(2), torch.tensor(0.0))


@pytest.fixture
def real(rng: torch.Generator) -> RealSet:
    return RealSet(torch.zeros(2, 1, 1, 1), torch.arange(2), 2, rng)


def test_each_loss_is_followed_by_one_step(
    synthetic: SyntheticSet, real: RealSet, rng: torch.Generator
) -> None:
    # The way to 1 is halved by every step, and each gradient is of its own loss alone.
    run = distill(Bowl(), synthetic, real, steps=3, rng=rng)
    for step, loss in enumerate(run, start=1):
        assert loss == 0.25 ** (step - 1)
        assert synthetic.images.flatten().tolist() == [1 - 0.5**step] * 2
    assert step == 3


@pytest.mark.parametrize("steps", [0, 1, 4])
def test_no_loss_is_asked_for_beyond_the_last_step(
    synthetic: SyntheticSet, real: RealSet, rng: torch.Generator, steps: int
) -> None:
    bowl = Bowl()
    assert len(list(distill(bowl, synthetic, real, steps=steps, rng=rng))) == steps
    assert bowl.asked == steps


def test_an_optimizer_that_is_given_is_the_one_used(
    synthetic: SyntheticSet, real: RealSet, rng: torch.Generator
) -> None:
    given = torch.optim.SGD([synthetic.images], lr=1.0)
    list(distill(Bowl(), synthetic, real, steps=1, rng=rng, optimizer=given))
    assert synthetic.images.flatten().tolist() == [1, 1]


def test_learned_lists_the_tensors_of_every_group() -> None:
    one, two, three = (torch.zeros(1) for _ in range(3))
    optimizer = torch.optim.SGD([{"params": [one, two]}, {"params": [three]}], lr=1.0)
    assert [id(tensor) for tensor in learned(optimizer)] == [id(one), id(two), id(three)]
