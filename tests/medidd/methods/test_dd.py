"""Dataset distillation beside plain autograd through the same program."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from medidd.architectures import convnet, mlp
from medidd.data import RealSet, SyntheticSet
from medidd.methods.dd import DD, begun, halved, real_loss
from medidd.network import Network, Weights


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def prepared(started: Callable) -> Callable[..., SyntheticSet]:
    """Makes S with a different step size for each step, all of it to be learned but its labels."""

    def make(method: DD, images: Tensor, **sizes: int) -> SyntheticSet:
        s = method.prepare(started(images, **sizes))
        s.log_lr += torch.linspace(0, 1, len(s.log_lr), dtype=images.dtype)
        s.images.requires_grad_()
        s.log_lr.requires_grad_()
        return s

    return make


def followed(f: Network, theta: Weights, s: SyntheticSet, parts: list[list[int]]) -> Weights:
    """The program as one graph: the parts of S in order, each step with its own size."""
    theta = {name: weight.clone().requires_grad_() for name, weight in theta.items()}
    for rows, log_lr in zip(parts, s.log_lr, strict=True):
        loss = cross_entropy(f(theta, s.images[rows]), s.labels[rows])
        grads = torch.autograd.grad(loss, list(theta.values()), create_graph=True)
        theta = {
            name: weight - log_lr.exp() * grad
            for (name, weight), grad in zip(theta.items(), grads, strict=True)
        }
    return theta


# Two classes of three images: rows 0 to 2, and 3 to 5.
PARTS = {
    1: [[0, 1, 2, 3, 4, 5]],
    2: [[0, 1, 3, 4], [2, 5]],
    3: [[0, 3], [1, 4], [2, 5]],
}


def test_the_gradient_agrees_with_finite_differences(films: Callable, prepared: Callable) -> None:
    images, labels = films(2, size=4, dtype=torch.double)
    method = DD(mlp(2, 1, 4, width=3), batches=2, epochs=2, lr=0.1)
    s = prepared(method, images, ipc=2)

    def loss(images_of_s: Tensor, log_lr: Tensor) -> Tensor:
        real = RealSet(images, labels, 2, seeded(1))
        return next(method.losses(SyntheticSet(images_of_s, s.labels, log_lr), real, seeded(2)))

    assert torch.autograd.gradcheck(loss, [s.images, s.log_lr])


@pytest.mark.parametrize("batches", PARTS)
def test_a_network_is_shown_the_parts_in_order_again_in_every_epoch(
    films: Callable,
    prepared: Callable,
    watched: Callable,
    monkeypatch: pytest.MonkeyPatch,
    batches: int,
) -> None:
    monkeypatch.setattr("medidd.descent.spare", lambda _: 0)  # so that the way back sees S again
    images, labels = films(4)
    f, seen = watched()
    method = DD(f, batches=batches, epochs=2)
    s = prepared(method, images, ipc=3)
    seen.clear()
    next(method.losses(s, RealSet(images, labels, 2, seeded(1)), seeded(2)))
    # Forth, a look at the films of all classes, and back.
    forth = [s.images[rows] for rows in PARTS[batches] * 2]
    assert len(seen) == 2 * len(forth) + 1
    for ours, theirs in zip(seen, [*forth, None, *reversed(forth)], strict=True):
        assert theirs is None or torch.equal(ours, theirs)


def test_the_classifier_has_followed_the_program(films: Callable, prepared: Callable) -> None:
    images, _ = films(4, size=8, dtype=torch.double)
    f = convnet(2, 1, 8, width=4)
    method = DD(f, batches=2, epochs=3, lr=0.1)
    s = prepared(method, images, ipc=3)
    end = followed(f, f.init(seeded(5), like=images), s, PARTS[2] * 3)
    ours = method.classifier(s, seeded(5))(images)
    torch.testing.assert_close(ours, f(end, images).softmax(1).detach(), rtol=1e-9, atol=1e-12)
    assert not ours.requires_grad


def test_s_made_for_one_set_of_weights_meets_no_other(films: Callable, prepared: Callable) -> None:
    images, labels = films(3)
    f = convnet(2, 1, 16, width=4)

    def answers(weights_seed: int | None, seed: int) -> tuple[float, float]:
        method = DD(f, epochs=2, weights_seed=weights_seed)
        s = prepared(method, images)
        loss = next(method.losses(s, RealSet(images, labels, 2, seeded(1)), seeded(seed)))
        return loss.item(), method.classifier(s, seeded(seed))(images).sum(0)[0].item()

    for part in range(2):
        known = {answers(7, seed)[part] for seed in range(3)}
        assert len(known) == 1
        assert answers(8, 0)[part] not in known
        assert len({answers(None, seed)[part] for seed in range(3)}) == 3


def test_known_weights_are_those_of_a_generator_of_that_seed() -> None:
    f, like = convnet(2, 1, 8, width=4), torch.zeros((), dtype=torch.double)
    drawn = seeded(3)
    before = drawn.get_state()
    known = begun(f, 7, drawn, like)
    assert torch.equal(drawn.get_state(), before)
    torch.testing.assert_close(known, f.init(seeded(7), like=like), rtol=0, atol=0)


def test_the_step_sizes_of_a_program_begin_alike(films: Callable, started: Callable) -> None:
    s = started(films(2, dtype=torch.double)[0], ipc=2)
    prepared = DD(convnet(2, 1, 16, width=2), batches=2, epochs=3, lr=0.03).prepare(s)
    assert prepared.log_lr.exp().tolist() == pytest.approx([0.03] * 6)
    assert prepared.log_lr.dtype == torch.double
    assert prepared.images is s.images


def test_more_batches_than_images_of_a_class_are_refused(
    films: Callable, started: Callable
) -> None:
    s = started(films(4)[0], ipc=3)
    with pytest.raises(ValueError, match="4 batches of 3 images per class; set batches to at most"):
        DD(convnet(2, 1, 16, width=2), batches=4).prepare(s)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"batches": 0}, "batches and epochs must be 1 or more"),
        ({"epochs": 0}, "batches and epochs must be 1 or more"),
        ({"lr": 0.0}, "lr must be above 0"),
    ],
)
def test_what_cannot_be_a_program_is_refused(fields: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        DD(convnet(2, 1, 8, width=2), **fields)


def test_the_real_loss_is_the_mean_over_classes_whatever_their_sizes(films: Callable) -> None:
    images, labels = films(6, classes=3, size=8, dtype=torch.double)
    kept = [*range(6), *range(6, 8), *range(12, 13)]
    images, labels = images[kept], labels[kept]
    f = mlp(3, 1, 8, width=4)
    theta = f.init(seeded(), like=images)
    loss, gradient = real_loss(f, theta, RealSet(images, labels, 3, seeded()), 10, lambda x: x + 1)
    leaves = {name: weight.clone().requires_grad_() for name, weight in theta.items()}
    per_class = [
        cross_entropy(f(leaves, images[labels == c] + 1), labels[labels == c]) for c in range(3)
    ]
    expected = torch.stack(per_class).mean()
    expected.backward()
    assert loss.item() == pytest.approx(expected.item())
    for name, leaf in leaves.items():
        torch.testing.assert_close(gradient[name], leaf.grad)


# The learning rates.


def rates_used(optimizer: torch.optim.Optimizer, steps: int) -> list[list[float]]:
    """The learning rates of each of so many further steps."""
    used = []
    for _ in range(steps):
        for group in optimizer.param_groups:
            for tensor in group["params"]:
                tensor.grad = torch.ones_like(tensor)
        optimizer.step()
        used.append([group["lr"] for group in optimizer.param_groups])
    return used


def adam(every: int) -> torch.optim.Optimizer:
    groups = [
        {"params": [torch.zeros(2, requires_grad=True)], "lr": 0.08},
        {"params": [torch.zeros((), requires_grad=True)], "lr": 0.4},
    ]
    return halved(torch.optim.Adam(groups), every)


@pytest.mark.parametrize("every", [1, 3, 100])
def test_learning_rates_are_halved_every_so_many_steps(every: int) -> None:
    for step, used in enumerate(rates_used(adam(every), 10)):
        assert used == [rate * 0.5 ** (step // every) for rate in (0.08, 0.4)]


@pytest.mark.parametrize("stop", range(1, 8))
def test_a_restored_optimizer_goes_on_with_the_rates_it_had(stop: int) -> None:
    whole = rates_used(adam(3), 10)
    first = adam(3)
    before = rates_used(first, stop)
    second = adam(3)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    assert before + rates_used(second, 10 - stop) == whole


def test_a_run_halves_its_rates_every_tenth_of_the_way(films: Callable, prepared: Callable) -> None:
    for steps, every in ((40, 4), (5, 1)):
        method = DD(convnet(2, 1, 16, width=2), steps=steps, lr_images=0.08, lr_lr=0.4)
        s = prepared(method, films(2)[0])
        used = rates_used(method.optimizer(s), 9)
        assert [images for images, _ in used] == [0.08 * 0.5 ** (t // every) for t in range(9)]
