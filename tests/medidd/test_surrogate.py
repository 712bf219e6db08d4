"""Images drawn from moments have these moments."""

import pytest
import torch
from torch import Tensor

from medidd.data import NORMALIZATION, Question, SyntheticSet
from medidd.features import LowFrequencies
from medidd.surrogate import Statistics, Surrogate

FEATURES, D = LowFrequencies(12), 12


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def known(noise: float = 0.0) -> Statistics:
    root = 0.02 * torch.randn(D, D, generator=seeded()).double()
    means = 0.1 * torch.randn(3, D, generator=seeded(1)).double()
    return Statistics(torch.ones(3).double() / 3, means, root @ root.T, noise)


def source(of: Statistics, seed: int = 0) -> Surrogate:
    s = SyntheticSet(torch.zeros(3, 1, 16, 16).double(), torch.eye(3), torch.tensor(0.0))
    return Surrogate(of, FEATURES, s, seeded(seed))


def moments(x: Tensor, y: Tensor) -> dict[str, Tensor]:
    phi = FEATURES(x)
    return {"labels": y.mean(0), "mean": phi.mean(0), "second": phi.T @ phi / len(x)}


def test_images_have_the_moments_that_are_known() -> None:
    of, many = known(), 20_000
    asked = [Question(moments, (1,)), Question(moments, (0, 2))]
    one, two = source(of).means(asked, size=many)
    torch.testing.assert_close(one["labels"], torch.eye(3).double()[1])
    torch.testing.assert_close(two["labels"], torch.tensor([0.5, 0.0, 0.5]).double())
    wide = of.within.trace().sqrt() / many**0.5
    assert (one["mean"] - of.means[1]).norm() < 3 * wide
    assert (two["mean"] - of.means[[0, 2]].mean(0)).norm() < 3 * wide
    within = one["second"] - torch.outer(one["mean"], one["mean"])
    assert (within - of.within).norm() < 0.03 * of.within.norm()


def test_images_are_fresh_follow_from_the_generator_and_can_be_shown() -> None:
    def pixels(x: Tensor, _: Tensor) -> Tensor:
        return x.flatten(1).mean(0)

    wild = Statistics(known().shares, 100 * known().means, torch.eye(D).double(), 0.0)
    asked = Question(pixels, (0,))
    first, second = source(wild).means([asked, asked], size=1)
    (again,) = source(wild).means([asked], size=1)
    assert torch.equal(first, again)
    assert not torch.equal(first, second)
    assert torch.equal(first, NORMALIZATION.bounded(first))


@pytest.mark.parametrize("noise", [0.0, 1e-4, 1e-2, 1e3])
def test_the_variances_that_noise_hides_are_shared_alike(noise: float) -> None:
    of = known(noise)
    values, axes = of.principal()
    covariance = of.spread() @ of.spread()
    torch.testing.assert_close(covariance.trace(), of.within.trace())
    hidden = axes[:, values == 0]
    assert (values[values > 0] * 2 > of.edge).all()
    assert (hidden.shape[1] > 0) == (noise > 0)
    inside = hidden.T @ covariance @ hidden
    if len(inside):
        torch.testing.assert_close(inside, inside[0, 0] * torch.eye(len(inside)).double())
