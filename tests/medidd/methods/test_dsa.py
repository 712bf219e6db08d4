"""What a network is shown by gradient matching under siamese augmentation."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from medidd.augment import PHOTOGRAPH, RADIOGRAPH, draw
from medidd.data import RealSet
from medidd.methods.dc import DC
from medidd.methods.dsa import DSA


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def shift(seen: Tensor, shown: Tensor) -> list[float]:
    """By how much each image was made brighter, which must be by one amount all over."""
    difference = (seen - shown).flatten(1)
    assert torch.allclose(difference, difference[:, :1])
    return difference[:, 0].tolist()


def test_both_sides_of_a_class_share_a_draw_and_each_image_of_a_training_has_its_own(
    films: Callable, started: Callable, watched: Callable
) -> None:
    images, labels = films(1, dtype=torch.double)  # a film each, so that their order is known
    f, seen = watched()
    s = started(images, ipc=2)
    method = DSA(DC(f, inner_steps=3, net_epochs=2), augment=("brightness",))
    shared, own = [], []
    path = method.losses(s, RealSet(images, labels, 2, seeded(1)), seeded(2))
    for t, _ in enumerate(path):
        if t == 0:
            del seen[0]  # all of S, for the step size that the network bears
        *trainings, real_0, real_1, ours_0, ours_1 = seen
        for real, ours, label in ((real_0, ours_0, 0), (real_1, ours_1, 1)):
            (amount,) = shift(real, images[labels == label])
            assert shift(ours, s.of_class(label)[0]) == pytest.approx([amount] * 2)
            shared.append(amount)
        own += [amount for training in trainings for amount in shift(training, s.images)]
        seen.clear()
    assert not seen  # nor is the network trained after the last update
    assert len(own) == 2 * 2 * 4
    rounded = [round(amount, 9) for amount in shared + own]
    assert len(set(rounded)) == len(rounded) == 6 + 16


@pytest.mark.parametrize("operations", [RADIOGRAPH, PHOTOGRAPH])
def test_a_network_sees_the_operations_that_are_drawn(
    films: Callable, started: Callable, watched: Callable, operations: tuple[str, ...]
) -> None:
    images, labels = films(1, channels=3, dtype=torch.double)
    f, seen = watched(channels=3)
    s = started(images, ipc=2)
    method = DSA(DC(f, inner_steps=6, net_epochs=1), augment=operations)
    replay, expected = seeded(2), []
    f.init(replay)
    for step in range(6):
        if step:
            expected.append(draw(replay, operations, images=4)(s.images))
        omegas = [draw(replay, operations) for _ in range(2)]
        expected += [omega(images[labels == label]) for label, omega in enumerate(omegas)]
        expected += [omega(s.of_class(label)[0]) for label, omega in enumerate(omegas)]
    list(method.losses(s, RealSet(images, labels, 2, seeded(1)), seeded(2)))
    del seen[0]  # all of S, for the step size that the network bears
    assert len(seen) == len(expected) == 6 * 4 + 5
    for ours, theirs in zip(seen, expected, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_without_operations_it_is_dc(films: Callable, started: Callable, watched: Callable) -> None:
    images, labels = films(3, dtype=torch.double)
    f, _ = watched()
    s = started(images, ipc=2)
    same = DC(f, inner_steps=1, batch=3)
    for method in (same, DSA(same, augment=()), DSA(same)):
        real = RealSet(images, labels, 2, seeded(1))
        s.images.grad = None
        s.images.requires_grad_()
        next(method.losses(s, real, seeded(2))).backward()
        if isinstance(method, DC):
            expected = s.images.grad
        else:
            assert torch.allclose(s.images.grad, expected) == (not method.augment)


def test_the_presets_are_those_of_dc_with_the_authors_augmentation() -> None:
    assert set(DSA.paper) == set(DC.paper)
    for ipc, values in DSA.paper.items():
        assert values == {**DC.paper[ipc], "augment": PHOTOGRAPH}
