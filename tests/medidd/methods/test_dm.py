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
        drawn = torch.Generator().manual_seed(2)
        return [loss.item() for _ in range(8) for loss in method.losses(s, real, drawn)]

    same, different = losses(set_of(images, labels, 3)), losses(set_of(others, labels, 3))
    assert max(same) < 1e-20
    assert min(different) > 1e-3


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
    s, real = set_of(images + 0.3, labels, 2), RealSet(images, labels, 2, rng)
    method = DM(convnet(2, 1, 16, width=8), augment=())
    assert len({loss.item() for _ in range(4) for loss in method.losses(s, real, rng)}) == 4


def test_both_sides_of_a_class_share_a_draw_and_classes_do_not(
    films: Callable, started: Callable, watched: Callable, rng: torch.Generator
) -> None:
    images, labels = films(3, dtype=torch.double)
    f, seen = watched()
    s = started(images, ipc=2)
    next(DM(f, augment=("brightness",)).losses(s, RealSet(images, labels, 2, rng), rng))
    # One batch of T for each class, and one of the whole of S.
    assert [len(batch) for batch in seen] == [3, 3, 4]
    shifts = []
    for label in range(2):
        real, ours = seen[label], seen[2][2 * label : 2 * label + 2]
        amounts = (ours - s.of_class(label)[0]).flatten()
        shifts.append(amounts[0].item())
        assert amounts.tolist() == pytest.approx([shifts[-1]] * len(amounts))
        # A batch of all films of a class, in any order.
        assert (real - shifts[-1]).mean().item() == pytest.approx(
            images[labels == label].mean().item(), abs=1e-9
        )
    assert shifts[0] != pytest.approx(shifts[1])


@augmentations
def test_a_bank_is_asked_once_and_its_loss_is_the_mean_over_its_networks(
    films: Callable, augment: tuple[str, ...]
) -> None:
    images, labels = films(5, classes=3, dtype=torch.double)
    start, _ = films(2, classes=3, dtype=torch.double, seed=9)
    s = set_of(start.requires_grad_(), torch.arange(3).repeat_interleave(2), 3)
    f = convnet(3, 1, 16, width=8)
    real = RealSet(images, labels, 3, torch.Generator().manual_seed(1))
    method, asked = DM(f, steps=3, batch=5, augment=augment, bank=4), []
    real.means = lambda questions, size: (
        asked.append(size) or RealSet.means(real, questions, size=size)
    )
    replay = torch.Generator().manual_seed(2)
    thetas = [f.init(replay, like=images) for _ in range(4)]
    omegas = [[draw(replay, augment) for _ in thetas] for _ in range(3)]
    push = torch.Generator().manual_seed(3)
    steps = 0
    for loss in method.losses(s, real, torch.Generator().manual_seed(2)):
        expected = torch.zeros((), dtype=torch.double)
        for c in range(3):
            for theta, omega in zip(thetas, omegas[c], strict=True):
                ours = f.embed(theta, omega(start[2 * c : 2 * c + 2])).mean(0)
                theirs = f.embed(theta, omega(images[labels == c])).mean(0)
                expected = expected + (ours - theirs).square().sum() / 4
        assert loss.item() == pytest.approx(expected.item(), rel=1e-9)
        (mine,), (wanted,) = (torch.autograd.grad(value, [start]) for value in (loss, expected))
        torch.testing.assert_close(mine, wanted)
        # The caller steps S here.
        start.data += 0.1 * torch.randn(start.shape, generator=push, dtype=torch.double)
        steps += 1
    assert (steps, len(asked)) == (3, 1)
