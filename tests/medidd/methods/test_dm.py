"""Distribution matching beside the formula of its paper."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from medidd.architectures import convnet
from medidd.augment import RADIOGRAPH, draw
from medidd.data import RealSet, SyntheticSet
from medidd.methods.dm import DM

augmentations = pytest.mark.parametrize("augment", [(), RADIOGRAPH], ids=["plain", "siamese"])


def set_of(images: Tensor, labels: Tensor, classes: int) -> SyntheticSet:
    one_hot = torch.nn.functional.one_hot(labels, classes).to(images)
    return SyntheticSet(images, one_hot, torch.tensor(-3.0).to(images))


@augmentations
def test_the_loss_is_zero_when_s_is_t(films: Callable, augment: tuple[str, ...]) -> None:
    images, labels = films(4, classes=3, dtype=torch.double)
    others, _ = films(4, classes=3, dtype=torch.double, seed=9)
    real = RealSet(images, labels, 3, torch.Generator().manual_seed(1))
    method = DM(convnet(3, 1, 16, width=8), batch=100, augment=augment)

    def losses(s: SyntheticSet) -> list[float]:
        drawn = method.losses(s, real, torch.Generator().manual_seed(2))
        return [next(drawn).item() for _ in range(8)]

    same, different = losses(set_of(images, labels, 3)), losses(set_of(others, labels, 3))
    assert max(same) < 1e-20
    assert min(different) > 1e-3


@augmentations
def test_the_loss_is_the_papers_formula(films: Callable, augment: tuple[str, ...]) -> None:
    images, labels = films(5, classes=3, dtype=torch.double)
    start, _ = films(2, classes=3, dtype=torch.double, seed=9)
    s = set_of(start.requires_grad_(), torch.arange(3).repeat_interleave(2), 3)
    f = convnet(3, 1, 16, width=8)
    real = RealSet(images, labels, 3, torch.Generator().manual_seed(1))
    losses = DM(f, batch=5, augment=augment).losses(s, real, torch.Generator().manual_seed(2))
    replay = torch.Generator().manual_seed(2)
    for _ in range(5):
        theta = f.init(replay, like=images)
        expected = torch.zeros((), dtype=torch.double)
        for c in range(3):
            omega = draw(replay, augment)
            mean_real, mean_synthetic = 0.0, 0.0
            for x in images[labels == c]:
                mean_real = mean_real + f.embed(theta, omega(x[None]))[0] / 5
            for x in start[2 * c : 2 * c + 2]:
                mean_synthetic = mean_synthetic + f.embed(theta, omega(x[None]))[0] / 2
            for difference in mean_real - mean_synthetic:
                expected = expected + difference**2
        loss = next(losses)
        assert loss.item() == pytest.approx(expected.item(), rel=1e-9)
        (ours,), (theirs,) = (torch.autograd.grad(value, [start]) for value in (loss, expected))
        torch.testing.assert_close(ours, theirs)


def test_only_images_receive_a_gradient(films: Callable, rng: torch.Generator) -> None:
    images, labels = films(3)
    s = set_of(images.clone(), labels, 2)
    for tensor in s.tensors().values():
        tensor.requires_grad_()
    real = RealSet(images, labels, 2, rng)
    s.images.data += 0.1
    next(DM(convnet(2, 1, 16, width=8)).losses(s, real, rng)).backward()
    assert s.images.grad.flatten(1).norm(dim=1).min() > 0
    assert s.labels.grad is None
    assert s.log_lr.grad is None


def test_every_step_draws_a_fresh_network(films: Callable, rng: torch.Generator) -> None:
    images, labels = films(3)
    s = set_of(images + 0.3, labels, 2)
    losses = DM(convnet(2, 1, 16, width=8), augment=()).losses(
        s, RealSet(images, labels, 2, rng), rng
    )
    assert len({next(losses).item() for _ in range(4)}) == 4
