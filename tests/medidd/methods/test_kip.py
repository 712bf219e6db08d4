"""KIP beside its formula, finite differences and known answers."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from medidd.data import NORMALIZATION, RealSet, SyntheticSet
from medidd.distill import Classifies, distill
from medidd.kernels import ConvKernel, FCKernel, Kernel
from medidd.methods.kip import KIP

both = pytest.mark.parametrize("kernel", [FCKernel(), ConvKernel(2)], ids=["fc", "conv"])

LR = torch.tensor(0.0)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(images: Tensor, labels: Tensor, ipc: int = 1) -> SyntheticSet:
    classes = int(labels.max()) + 1
    drawn = torch.randn(classes * ipc, *images.shape[1:], generator=seeded()).to(images)
    return SyntheticSet(drawn, torch.eye(classes).repeat_interleave(ipc, 0).to(images), LR)


def test_the_gradient_is_that_of_finite_differences(films: Callable) -> None:
    images, labels = films(3, size=4, dtype=torch.double)
    real = RealSet(images, labels, 2, seeded())
    start = noise(images, labels, ipc=2)

    def loss(x: Tensor, y: Tensor) -> Tensor:
        s = SyntheticSet(x, y, start.log_lr)
        return next(KIP(FCKernel(), ridge=1e-2).losses(s, real, seeded()))

    inputs = (start.images.requires_grad_(), start.labels.requires_grad_())
    assert torch.autograd.gradcheck(loss, inputs)


@both
def test_a_set_that_is_the_real_one_has_no_loss(films: Callable, kernel: Kernel) -> None:
    images, labels = films(5, size=8, dtype=torch.double)
    hard = torch.eye(2, dtype=torch.double)[labels]
    s = SyntheticSet(images, hard, torch.tensor(0.0))
    real = RealSet(images, labels, 2, seeded())
    there = next(KIP(kernel).losses(s, real, seeded()))
    elsewhere = next(KIP(kernel).losses(noise(images, labels, ipc=5), real, seeded()))
    assert there < 1e-8
    assert elsewhere > 1e-2


@both
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_loss_falls_and_strangers_are_told_apart(
    films: Callable, kernel: Kernel, dtype: torch.dtype
) -> None:
    images, labels = films(12, classes=3, size=8, noise=1.0, dtype=dtype)
    strangers, truth = films(60, classes=3, size=8, noise=1.0, seed=2, dtype=dtype)
    s = noise(images, labels)
    method = KIP(kernel)
    real = RealSet(images, labels, 3, seeded())
    losses = list(distill(method, s, real, steps=30, rng=seeded()))
    assert losses[-1] < 0.5 * losses[0]
    assert s.images.dtype == s.labels.dtype == dtype
    assert torch.equal(s.labels, torch.eye(3, dtype=dtype))
    probabilities = method.classifier(s, seeded())(strangers)
    assert probabilities.dtype == dtype
    torch.testing.assert_close(probabilities.sum(1), torch.ones(180, dtype=dtype))
    assert (probabilities.argmax(1) == truth).double().mean() > 0.8


@pytest.mark.parametrize("constraint", ["simplex", "none"])
def test_learned_labels_stay_where_they_may_be(films: Callable, constraint: str) -> None:
    images, labels = films(12, classes=3, size=8, noise=1.0)
    s = noise(images, labels, ipc=2)
    method = KIP(FCKernel(), lr_labels=0.1, constraint=constraint)
    real = RealSet(images, labels, 3, seeded())
    list(distill(method, s, real, steps=10, rng=seeded()))
    assert not torch.equal(s.labels, noise(images, labels, ipc=2).labels)
    pixels = NORMALIZATION.display(s.images.detach())
    assert pixels.min() >= 0
    assert pixels.max() <= 1
    on_simplex = s.labels.min() >= 0 and bool(((s.labels.sum(1) - 1).abs() < 1e-6).all())
    assert on_simplex == (constraint == "simplex")


def test_it_has_a_classifier_of_its_own() -> None:
    assert isinstance(KIP(FCKernel()), Classifies)
    assert KIP.classifies_by == "kernel regression"


def test_a_ridge_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="ridge must be above 0, not 0"):
        KIP(FCKernel(), ridge=0.0)
