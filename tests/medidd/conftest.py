"""Toy films that a tiny network can tell apart, and tiny denoisers of them."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, settings
from torch import Tensor

from medidd.data import RealSet
from medidd.denoisers.making import make
from medidd.denoisers.shapes import Shape
from medidd.denoisers.trained import Configuration, Trained
from medidd.denoisers.training import Training
from medidd.network import Weights

# On a busy machine an example may take any time.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

Films = tuple[Tensor, Tensor]


@pytest.fixture
def films() -> Callable[..., Films]:
    """Makes films of ``classes`` templates under noise, and their labels."""

    def make(
        per_class: int,
        *,
        classes: int = 2,
        channels: int = 1,
        size: int = 16,
        noise: float = 0.5,
        seed: int = 1,
        dtype: torch.dtype = torch.float32,
    ) -> Films:
        # The templates are one thing, the draw of the films another.
        shapes = torch.Generator().manual_seed(7)
        templates = torch.randn(classes, channels, size // 4, size // 4, generator=shapes)
        templates = templates.repeat_interleave(4, 2).repeat_interleave(4, 3)
        labels = torch.arange(classes).repeat_interleave(per_class)
        rng = torch.Generator().manual_seed(seed)
        grain = torch.randn(len(labels), channels, size, size, generator=rng)
        return (templates[labels] + noise * grain).clamp(-2, 2).to(dtype), labels

    return make


@pytest.fixture(scope="session")
def fresh() -> Callable[..., Trained]:
    """Makes denoisers with fresh weights, of images whose size is a multiple of 8 or of 3."""

    def make(classes: int = 2, channels: int = 1, size: int = 16, **more: Any) -> Trained:
        even = {"filters": (16, 16), "block": 2} if size % 8 == 0 else {}
        shape = Shape(**{"filters": (16,), "block": 3, "attention": 0} | even | more)
        encoding = Training(1) if shape.encoder else None
        how = Configuration(shape, Training(1), encoding)
        return Trained(None, how, classes, channels, size, {})

    return make


@pytest.fixture(scope="session")
def stirred() -> Callable[..., Weights]:
    """Changes weights a little, in double precision: the last ones of a fresh denoiser are 0."""

    def change(theta: Weights, seed: int = 5) -> Weights:
        rng = torch.Generator().manual_seed(seed)
        return {
            name: w.double() + 0.1 * torch.randn(w.shape, generator=rng, dtype=torch.double)
            for name, w in theta.items()
        }

    return change


SPREAD = 0.5
"""Of each pixel of the two Gaussians, standardised."""


@pytest.fixture(scope="session")
def gaussians() -> tuple[Tensor, Tensor, Tensor]:
    """The means of two classes of images, (2, 1, 8, 8), images of them under noise, and labels."""
    bright = torch.ones(8, 8)
    bright[:, 4:] = -1
    means = 0.6 * torch.stack([bright, bright.T])[:, None]
    labels = torch.arange(2).repeat_interleave(200)
    grain = torch.randn(400, 1, 8, 8, generator=torch.Generator().manual_seed(3))
    return means, means[labels] + SPREAD * grain, labels


@pytest.fixture(scope="session")
def of_gaussians(
    gaussians: tuple[Tensor, Tensor, Tensor], tmp_path_factory: pytest.TempPathFactory
) -> Trained:
    """A denoiser that was trained on them."""
    _, images, labels = gaussians
    shape = Shape((32, 16), attention=0, block=2)
    how = Configuration(shape, Training(steps=150, batch=64, lr=8e-3, kept=0.97))
    made = Trained(tmp_path_factory.mktemp("denoiser"), how, 2, 1, 8, {"films": "gaussians"})
    list(make(made.folder, made, lambda *of: RealSet(images, labels, 2, of[2]), torch.empty(0)))
    return made
