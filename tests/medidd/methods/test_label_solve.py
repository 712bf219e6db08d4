"""Label solve beside least squares."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from medidd.data import RealSet, SyntheticSet
from medidd.distill import Classifies, distill
from medidd.kernels import ConvKernel, FCKernel, Kernel
from medidd.methods.label_solve import LabelSolve, shrunk

RIDGE = 1e-2
LR = torch.tensor(0.0)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def begun(images: Tensor, labels: Tensor, start: str = "random", ipc: int = 2) -> SyntheticSet:
    classes = int(labels.max()) + 1
    drawn = torch.randn(classes * ipc, *images.shape[1:], generator=seeded()).to(images)
    if start == "random":
        drawn = torch.cat([images[labels == c][:ipc] for c in range(classes)])
    return SyntheticSet(drawn, torch.eye(classes).repeat_interleave(ipc, 0).to(images), LR)


def solved(
    method: LabelSolve, s: SyntheticSet, images: Tensor, labels: Tensor, steps: int = 1
) -> list[float]:
    real = RealSet(images, labels, s.classes, seeded(), chunk=3)
    return list(distill(method, s, real, steps=steps, rng=seeded()))


def design(kernel: Kernel, s: SyntheticSet, images: Tensor) -> Tensor:
    """What takes the labels of S to predictions, K_ts (K_ss + ridge)^-1."""
    k_ss = kernel(s.images, s.images)
    k_ss = k_ss + RIDGE * k_ss.trace() / len(k_ss) * torch.eye(len(k_ss), dtype=torch.double)
    return kernel(images, s.images) @ torch.linalg.inv(k_ss)


@pytest.mark.parametrize("kernel", [FCKernel(), ConvKernel(2)], ids=["fc", "conv"])
@pytest.mark.parametrize("start", ["random", "noise"])
@pytest.mark.parametrize(("classes", "channels", "ipc"), [(2, 1, 1), (3, 3, 2)])
def test_the_labels_are_those_of_least_squares(
    films: Callable, kernel: Kernel, start: str, classes: int, channels: int, ipc: int
) -> None:
    images, labels = films(
        8, classes=classes, channels=channels, size=8, noise=1.0, dtype=torch.double
    )
    s = begun(images, labels, start, ipc)
    solved(LabelSolve(kernel, ridge=RIDGE, constraint="none"), s, images, labels)
    a = design(kernel, s, images)
    truth = torch.eye(classes, dtype=torch.double)[labels] - 1 / classes
    wanted = np.linalg.lstsq(a.numpy(), truth.numpy(), rcond=None)[0] + 1 / classes
    np.testing.assert_allclose(s.labels.detach(), wanted, atol=1e-7)
    # The normal equations: what is left is orthogonal to all that labels can do.
    left = a @ (s.labels.detach() - 1 / classes) - truth
    assert (a.T @ left).abs().max() < 1e-8 * (a.T @ truth).abs().max()


def test_classes_weigh_alike_whatever_their_sizes(films: Callable) -> None:
    images, labels = films(8, size=8, noise=1.0, dtype=torch.double)
    keep = torch.arange(16) < 11  # eight films of one class, three of the other
    images, labels = images[keep], labels[keep]
    s = begun(images, labels)
    kernel = FCKernel()
    solved(LabelSolve(kernel, ridge=RIDGE, constraint="none"), s, images, labels)
    weight = (1 / torch.tensor([8.0, 3.0], dtype=torch.double)[labels]).sqrt()[:, None]
    a = weight * design(kernel, s, images)
    truth = weight * (torch.eye(2, dtype=torch.double)[labels] - 0.5)
    wanted = np.linalg.lstsq(a.numpy(), truth.numpy(), rcond=None)[0] + 0.5
    np.testing.assert_allclose(s.labels.detach(), wanted, atol=1e-7)


def test_solved_labels_beat_hard_ones_and_any_near_them(films: Callable) -> None:
    images, labels = films(20, classes=3, size=8, noise=1.0, dtype=torch.double)
    s = begun(images, labels)
    method = LabelSolve(FCKernel(), constraint="none")
    hard, best = solved(method, s, images, labels, steps=2)
    assert best < 0.8 * hard
    direction = torch.randn(s.labels.shape, generator=seeded(), dtype=torch.double)
    for far in (-0.1, 0.1):
        beside = SyntheticSet(s.images, s.labels.detach() + far * direction, s.log_lr)
        assert best < solved(method, beside, images, labels)[0]


@pytest.mark.parametrize("constraint", ["simplex", "none"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_one_step_ends_where_more_stay(
    films: Callable, constraint: str, dtype: torch.dtype
) -> None:
    images, labels = films(20, classes=3, size=8, noise=1.0, dtype=dtype)
    method = LabelSolve(FCKernel(), constraint=constraint)
    s = begun(images, labels)
    before = s.images.clone()
    solved(method, s, images, labels)
    once = s.labels.detach().clone()
    assert once.dtype == dtype
    assert torch.equal(s.images, before)
    torch.testing.assert_close(once.sum(1), torch.ones(6, dtype=dtype))
    assert (once.min() >= 0) == (constraint == "simplex")
    solved(method, s, images, labels, steps=2)
    torch.testing.assert_close(s.labels.detach(), once)


def test_probabilities_decide_as_the_free_labels_do(films: Callable) -> None:
    images, labels = films(20, classes=3, size=8, noise=1.0, dtype=torch.double)
    strangers, truth = films(60, classes=3, size=8, noise=1.0, seed=2, dtype=torch.double)
    decisions, least = [], []
    for constraint in ("simplex", "none"):
        s = begun(images, labels)
        method = LabelSolve(FCKernel(), constraint=constraint)
        solved(method, s, images, labels)
        decisions.append(method.classifier(s, seeded())(strangers).argmax(1))
        least.append(s.labels.min().item())
    assert least[0] == 0
    assert least[1] < -0.1
    assert torch.equal(*decisions)
    assert (decisions[0] == truth).double().mean() > 0.8


def test_more_synthetic_than_real_images_fit_them_all(films: Callable) -> None:
    images, labels = films(3, size=8, dtype=torch.double)
    s = begun(images, labels, "noise", ipc=5)
    method = LabelSolve(FCKernel(), constraint="none")
    _, left = solved(method, s, images, labels, steps=2)
    assert left < 1e-12
    assert s.labels.abs().max() < 1e3


def test_an_image_twice_is_no_obstacle(films: Callable) -> None:
    images, labels = films(6, size=8)
    s = begun(images, labels, ipc=3)
    s.images[1] = s.images[0]
    solved(LabelSolve(FCKernel()), s, images, labels)
    assert s.labels.isfinite().all()


@given(
    rows=st.lists(st.lists(st.floats(-100, 100), min_size=3, max_size=3), min_size=1, max_size=6)
)
def test_shrinking_keeps_order_and_proportion(rows: list[list[float]]) -> None:
    away = torch.tensor(rows, dtype=torch.double)
    away = away - away.mean(1, keepdim=True)
    ours = shrunk(away + 1 / 3)
    assert ours.min() >= 0
    torch.testing.assert_close(ours.sum(1), torch.ones(len(rows), dtype=torch.double))
    factor = min(1, 1 / (3 * max(-float(away.min()), 1e-300)))
    torch.testing.assert_close(ours, away * factor + 1 / 3, atol=1e-9, rtol=0)


def test_it_has_a_classifier_of_its_own() -> None:
    assert isinstance(LabelSolve(FCKernel()), Classifies)


def test_a_ridge_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="ridge must be above 0, not 0"):
        LabelSolve(FCKernel(), ridge=0.0)
