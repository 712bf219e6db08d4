"""The table: every method x every property. A new method adds itself by its line in METHODS."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from medidd.architectures import convnet
from medidd.data import RealSet, SyntheticSet
from medidd.distill import Method, distill, learned
from medidd.evaluate import Training, log_probabilities, train
from medidd.methods import METHODS
from medidd.starts import STARTS, begin

SHORT = {"soft-label": {"horizon": 12, "window": 6}}
"""Fields that make a method quick on a toy set; the others stay as they are."""

every_method = pytest.mark.parametrize("name", METHODS)


def method(name: str, classes: int = 2, channels: int = 1) -> Method:
    return METHODS[name](convnet(classes, channels, 16, width=8), **SHORT.get(name, {}))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(images: Tensor, labels: Tensor, rng: torch.Generator, ipc: int = 1) -> SyntheticSet:
    classes = int(labels.max()) + 1
    return begin(STARTS["noise"], images, labels, classes=classes, ipc=ipc, rng=rng)


def copied(s: SyntheticSet) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in s.tensors().items()}


def distilled(
    name: str, images: Tensor, labels: Tensor, *, steps: int, seed: int = 0, ipc: int = 1
) -> tuple[SyntheticSet, list[float]]:
    rng = seeded(seed)
    classes, channels = int(labels.max()) + 1, images.shape[1]
    s = noise(images, labels, rng, ipc)
    real = RealSet(images, labels, classes, rng)
    return s, list(distill(method(name, classes, channels), s, real, steps=steps, rng=rng))


@every_method
def test_the_loss_falls(name: str, films: Callable) -> None:
    _, losses = distilled(name, *films(20), steps=30)
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


@every_method
def test_a_network_trained_on_s_beats_one_trained_on_noise(name: str, films: Callable) -> None:
    images, labels = films(20, noise=1.0)
    strangers, truth = films(100, noise=1.0, seed=2)
    f = convnet(2, 1, 16, width=8)

    def accuracy(s: SyntheticSet, seed: int) -> float:
        how = Training(steps=40)
        theta = train(f, s.images.detach(), s.labels.detach(), how, seeded(seed))
        return float((log_probabilities(f, theta, strangers).argmax(1) == truth).float().mean())

    learned_set, _ = distilled(name, images, labels, steps=30)
    start = noise(images, labels, seeded())
    ours, chance = ([accuracy(s, seed) for seed in range(3)] for s in (learned_set, start))
    assert min(ours) > max(chance)
    assert min(ours) > 0.85


@every_method
def test_the_same_seed_gives_the_same_bytes(name: str, films: Callable) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one, losses = distilled(name, *films(4), steps=3)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    two, again = distilled(name, *films(4), steps=3)
    other, _ = distilled(name, *films(4), steps=3, seed=1)
    assert losses == again
    for part in one.tensors():
        assert torch.equal(one.tensors()[part], two.tensors()[part])
    assert not torch.equal(one.images, other.images)


@every_method
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("classes", "channels", "ipc"), [(2, 1, 2), (3, 3, 1), (3, 3, 2)])
def test_any_number_of_classes_channels_and_images_in_either_precision(
    name: str, films: Callable, dtype: torch.dtype, classes: int, channels: int, ipc: int
) -> None:
    images, labels = films(3, classes=classes, channels=channels, dtype=dtype)
    s, losses = distilled(name, images, labels, steps=3, ipc=ipc)
    assert torch.tensor(losses).isfinite().all()
    for tensor in s.tensors().values():
        assert tensor.dtype == dtype
        assert tensor.isfinite().all()
    assert s.images.shape == (classes * ipc, channels, 16, 16)
    moved = s.images.detach() - noise(images, labels, seeded(), ipc).images
    assert moved.flatten(1).norm(dim=1).min() > 0


@every_method
def test_only_what_the_optimizer_holds_is_changed(name: str, films: Callable) -> None:
    images, labels = films(4)
    films_before, rng = images.clone(), seeded()
    s = noise(images, labels, rng, ipc=2)
    # Labels to learn from that no projection would leave as they are.
    s.labels = torch.tensor([[0.9, 0.3], [0.8, 0.1], [0.0, 1.2], [0.4, 0.7]])
    before, tensors = copied(s), s.tensors()
    held = {id(tensor) for tensor in learned(method(name).optimizer(s))}
    list(distill(method(name), s, RealSet(images, labels, 2, rng), steps=3, rng=rng))
    for part, tensor in s.tensors().items():
        assert tensor is tensors[part]
        assert torch.equal(tensor, before[part]) == (id(tensor) not in held)
    assert torch.equal(images, films_before)


@every_method
def test_a_run_that_is_resumed_equals_one_that_was_not(name: str, films: Callable) -> None:
    images, labels = films(6)
    whole, losses = distilled(name, images, labels, steps=7)

    rng = seeded()
    s = noise(images, labels, rng)
    real = RealSet(images, labels, 2, rng)
    optimizer = method(name).optimizer(s)
    first = distill(method(name), s, real, steps=7, rng=rng, optimizer=optimizer)
    before = [next(first) for _ in range(3)]
    saved, state = copied(s), copy.deepcopy(optimizer.state_dict())
    draws = rng.get_state().clone()
    next(first)  # goes on after the checkpoint, and is lost

    rng = torch.Generator()
    rng.set_state(draws)
    s = SyntheticSet(**saved)
    real = RealSet(images, labels, 2, rng)
    optimizer = method(name).optimizer(s)
    optimizer.load_state_dict(state)
    after = list(distill(method(name), s, real, steps=4, rng=rng, optimizer=optimizer))
    assert before + after == losses
    for part, tensor in s.tensors().items():
        assert torch.equal(tensor, whole.tensors()[part])


class OneByOne:
    """Answers as a private source must: from the values for single images."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.classes = int(labels.max()) + 1
        self.asked = 0
        self._images, self._labels = images, labels

    def mean(self, f: Callable, *, label: int, size: int) -> object:
        rows = (self._labels == label).nonzero().squeeze(1)
        assert size >= len(rows)
        self.asked += 1
        y = torch.eye(self.classes, dtype=self._images.dtype)[label, None]
        return averaged([f(self._images[row, None], y) for row in rows])


def averaged(answers: list) -> object:
    """The mean of tensors, or of tuples or dicts of them."""
    first = answers[0]
    if isinstance(first, dict):
        return {key: averaged([one[key] for one in answers]) for key in first}
    if isinstance(first, tuple):
        return tuple(averaged(list(parts)) for parts in zip(*answers, strict=True))
    return torch.stack(answers).mean(0).detach()


@every_method
def test_a_source_that_asks_image_by_image_gives_the_same_gradient(
    name: str, films: Callable
) -> None:
    images, labels = films(5, classes=3, dtype=torch.double)
    private = OneByOne(images, labels)
    gradients = []
    for real in (RealSet(images, labels, 3, seeded(9)), private):
        s = noise(images, labels, seeded(), ipc=2)
        held = learned(method(name, 3).optimizer(s))
        for tensor in held:
            tensor.requires_grad_()
        losses = method(name, 3).losses(s, real, seeded(5))
        # Augmentations are drawn by the method, not by the source: several, so that some matter.
        per_step = [torch.autograd.grad(next(losses), held) for _ in range(5)]
        gradients.append(torch.cat([g.flatten() for grads in per_step for g in grads]))
    assert private.asked > 0
    assert gradients[0].norm() > 0
    assert (gradients[0] - gradients[1]).norm() < 1e-5 * gradients[0].norm()
