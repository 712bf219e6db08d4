"""Projections beside naive oracles."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from medidd.data import NORMALIZATION, Normalization, SyntheticSet
from medidd.project import CONSTRAINTS, falling, on_simplex, projected, unconstrained

values = st.floats(-10, 10, allow_subnormal=False)
rows = st.integers(1, 6).flatmap(lambda k: st.lists(values, min_size=k, max_size=k))


def bisected(row: list[float]) -> list[float]:
    """The nearest point of the simplex: max(y - tau, 0), with tau found by bisection."""
    low, high = min(row) - 1, max(row)
    for _ in range(200):
        tau = (low + high) / 2
        if sum(max(y - tau, 0) for y in row) > 1:
            low = tau
        else:
            high = tau
    return [max(y - high, 0) for y in row]


@given(rows)
def test_on_simplex_is_the_nearest_point_of_the_simplex(row: list[float]) -> None:
    ours = on_simplex(torch.tensor([row], dtype=torch.double))[0]
    torch.testing.assert_close(
        ours, torch.tensor(bisected(row), dtype=torch.double), rtol=0, atol=1e-9
    )


@given(st.lists(st.lists(values, min_size=3, max_size=3), min_size=1, max_size=5))
def test_on_simplex_treats_rows_alone_and_only_once(table: list[list[float]]) -> None:
    labels = torch.tensor(table, dtype=torch.double)
    ours = on_simplex(labels)
    assert ours.min() >= 0
    torch.testing.assert_close(ours.sum(1), torch.ones(len(table), dtype=torch.double))
    torch.testing.assert_close(on_simplex(ours), ours, rtol=0, atol=1e-12)
    assert torch.equal(ours, torch.cat([on_simplex(row[None]) for row in labels]))


def test_labels_that_are_probabilities_stay_as_they_are() -> None:
    one_hot = torch.eye(4)
    assert torch.equal(on_simplex(one_hot), one_hot)
    soft = torch.tensor([[0.5, 0.25, 0.25, 0.0]])
    assert torch.equal(on_simplex(soft), soft)


@pytest.mark.parametrize(
    ("row", "nearest"),
    [([3.0, 0.0], [1.0, 0.0]), ([0.0, 0.0], [0.5, 0.5]), ([-1.0, -1.5], [0.75, 0.25])],
)
def test_on_simplex_of_known_rows(row: list[float], nearest: list[float]) -> None:
    assert on_simplex(torch.tensor([row]))[0].tolist() == nearest


@pytest.mark.parametrize("learn_labels", [True, False])
@pytest.mark.parametrize("constraint", sorted(CONSTRAINTS))
def test_a_projected_optimizer_projects_after_every_step(
    learn_labels: bool, constraint: str, rng: torch.Generator
) -> None:
    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=rng)

    images, labels = draw(4, 1, 2, 2).requires_grad_(), torch.eye(2).repeat(2, 1)
    labels.requires_grad_(learn_labels)
    s = SyntheticSet(images, labels, torch.tensor(0.0))
    before = labels.detach().clone()
    sgd = torch.optim.SGD([images, labels] if learn_labels else [images], lr=1.0)
    assert projected(sgd, s, CONSTRAINTS[constraint]) is sgd
    for _ in range(3):
        stepped = {"images": images.detach().clone(), "labels": labels.detach().clone()}
        pushes = {"images": 5 * draw(4, 1, 2, 2), "labels": 5 * draw(4, 2)}
        images.grad, labels.grad = pushes["images"], pushes["labels"]
        sgd.step()
        assert torch.equal(images, NORMALIZATION.bounded(stepped["images"] - pushes["images"]))
        if learn_labels:
            moved = stepped["labels"] - pushes["labels"]
            assert torch.equal(labels, on_simplex(moved) if constraint == "simplex" else moved)
        else:
            assert torch.equal(labels, before)


def test_labels_are_kept_on_the_simplex_unless_asked_otherwise(rng: torch.Generator) -> None:
    assert (CONSTRAINTS["simplex"], CONSTRAINTS["none"]) == (on_simplex, unconstrained)
    labels = torch.eye(2).requires_grad_()
    s = SyntheticSet(torch.zeros(2, 1, 1, 1), labels, torch.tensor(0.0))
    sgd = projected(torch.optim.SGD([labels], lr=1.0), s)
    labels.grad = 5 * torch.randn(2, 2, generator=rng)
    sgd.step()
    torch.testing.assert_close(labels.detach().sum(1), torch.ones(2))


@pytest.mark.parametrize("limits", [(0.0, 1.0), (0.25, 0.5), (-torch.inf, torch.inf)])
def test_images_stay_within_the_limits_of_their_normalization(
    limits: tuple[float, float], rng: torch.Generator
) -> None:
    images = torch.zeros(2, 3, 2, 2, requires_grad=True)
    scale = Normalization((0.5, 0.4, 0.3), (0.2, 0.3, 0.25), *limits)
    s = SyntheticSet(images, torch.eye(2), torch.tensor(0.0), scale)
    sgd = projected(torch.optim.SGD([images], lr=1.0), s)
    images.grad = 100 * torch.randn(images.shape, generator=rng)
    sgd.step()
    shown = scale.display(images.detach())
    low, high = max(limits[0], -100), min(limits[1], 100)
    assert shown.min() >= low - 1e-6
    assert shown.max() <= high + 1e-6
    torch.testing.assert_close(shown, scale.display(-images.grad).clamp(*limits))


def test_falling_rates_are_the_cosines(rng: torch.Generator) -> None:
    first, second = (torch.randn(3, generator=rng).requires_grad_() for _ in range(2))
    adam = torch.optim.Adam([{"params": [first], "lr": 0.2}, {"params": [second], "lr": 1.0}])
    assert falling(adam, 4) is adam
    moves = []
    for _ in range(6):
        before = torch.stack([first, second]).detach()
        # Adam's step along a gradient that never changes is as long as its rate.
        first.grad, second.grad = torch.ones(3), torch.ones(3)
        adam.step()
        moves.append((before - torch.stack([first, second]).detach()).mean(1))
    root = 0.5**0.5
    shares = [1, (1 + root) / 2, 0.5, (1 - root) / 2, 0, 0]
    expected = torch.tensor(shares)[:, None] * torch.tensor([0.2, 1.0])
    torch.testing.assert_close(torch.stack(moves), expected, rtol=0, atol=1e-6)


def test_falling_rates_go_on_where_the_restored_state_was(rng: torch.Generator) -> None:
    pushes = torch.randn(7, 5, generator=rng)

    def run(x: Tensor, adam: torch.optim.Optimizer, steps: range) -> Tensor:
        for step in steps:
            x.grad = pushes[step].clone()
            adam.step()
        return x.detach().clone()

    def begun(start: Tensor) -> tuple[Tensor, torch.optim.Optimizer]:
        x = start.clone().requires_grad_()
        return x, falling(torch.optim.Adam([x], lr=0.1), 7)

    whole = run(*begun(torch.zeros(5)), range(7))
    x, adam = begun(torch.zeros(5))
    half = run(x, adam, range(3))
    state = adam.state_dict()["state"]
    for saved in (adam.state_dict(), begun(half)[1].state_dict() | {"state": state}):
        y, again = begun(half)
        again.load_state_dict(copy.deepcopy(saved))
        assert torch.equal(run(y, again, range(3, 7)), whole)
