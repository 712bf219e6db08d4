"""The cosine transform beside SciPy's, its bound, and the way back."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from scipy.fft import dctn
from torch import Tensor

from medidd.features import FEATURES, LowFrequencies, cosines

SHAPES = [(1, 32, 32), (1, 33, 33), (3, 16, 16), (1, 5, 7)]


def drawn(*shape: int, seed: int = 0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=rng, dtype=torch.double)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0])
def test_features_are_the_lowest_weighted_cosines(
    shape: tuple[int, int, int], exponent: float
) -> None:
    of = LowFrequencies(20, exponent, radius=1e6)  # so long that nothing is clipped
    x = drawn(4, *shape)
    ours = of(x) * 1e6 * torch.tensor(shape).prod().sqrt()
    waves = torch.from_numpy(dctn(x.numpy(), axes=(2, 3), norm="ortho"))
    down, across = torch.meshgrid(torch.arange(shape[1]), torch.arange(shape[2]), indexing="ij")
    far = (down.square() + across.square()).double().sqrt().expand(shape)
    kept = far.flatten().sort().values[:20]
    # Which of equal frequencies are kept is not said, so sums over equal ones are compared, and of
    # the highest there may be more than are kept.
    whole = kept[kept < kept[-1]]
    for frequency in whole.unique():
        here = (waves * (far == frequency)).square().sum((1, 2, 3)) * (1 + frequency) ** (
            2 * exponent
        )
        torch.testing.assert_close(ours[:, kept == frequency].square().sum(1), here)


@pytest.mark.parametrize("shape", SHAPES)
def test_no_image_is_longer_than_the_bound(shape: tuple[int, int, int]) -> None:
    of = LowFrequencies()
    pixels = torch.cat([drawn(8, *shape), 1e6 * drawn(8, *shape), torch.zeros(1, *shape).double()])
    extreme = torch.cat([torch.full((2, *shape), sign * 2.0).double() for sign in (-1, 1)])
    lengths = torch.cat([of(pixels), of(extreme)]).norm(dim=1)
    assert lengths.max() <= 1 + 1e-12
    assert lengths[8:16].min() > 1 - 1e-12
    assert lengths[16] == 0
    assert of(pixels).shape[1] == of.dim(shape) == min(100, torch.tensor(shape).prod())


@pytest.mark.parametrize("shape", SHAPES)
def test_pixels_lead_back_to_the_features(shape: tuple[int, int, int]) -> None:
    of = LowFrequencies(30)
    phi = drawn(5, of.dim(shape))
    phi = 0.9 * phi / phi.norm(dim=1, keepdim=True)
    images = of.pixels(phi, drawn(1, *shape))
    assert images.shape == (5, *shape)
    torch.testing.assert_close(of(images), phi)
    # All coefficients together are the image.
    every = LowFrequencies(10_000, radius=1e6)
    x = drawn(3, *shape)
    torch.testing.assert_close(every.pixels(every(x), x), x)


def test_an_image_has_the_same_features_at_any_size() -> None:
    of = LowFrequencies(60)
    small = of.pixels(drawn(3, 60) / 10, drawn(1, 1, 32, 32))
    large = torch.nn.functional.interpolate(small, scale_factor=4, mode="bicubic")
    assert (of(large) - of(small)).norm() < 0.02 * of(small).norm()


def test_cosines_are_orthonormal() -> None:
    torch.testing.assert_close(cosines(9) @ cosines(9).T, torch.eye(9, dtype=torch.double))


@pytest.mark.parametrize("wrong", [{"count": 0}, {"radius": 0.0}])
def test_a_map_to_nothing_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be above 0"):
        replace(LowFrequencies(), **wrong)


def test_the_maps_have_names() -> None:
    made: dict[str, Callable] = {name: make() for name, make in FEATURES.items()}
    assert made == {"dct": LowFrequencies()}
