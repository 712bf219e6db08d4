"""S by class, and what T answers."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from medidd.architectures import convnet
from medidd.data import NORMALIZATION, Normalization, Question, RealSet, SyntheticSet, balanced
from medidd.descent import loss_and_gradient


def real_set(images: Tensor, labels: Tensor, classes: int = 2, seed: int = 0) -> RealSet:
    return RealSet(images, labels, classes, torch.Generator().manual_seed(seed))


def asked(real: RealSet, f: Callable, *classes: int, size: int) -> Any:
    (answer,) = real.means([Question(f, classes)], size=size)
    return answer


def numbered(labels: list[int]) -> tuple[Tensor, Tensor]:
    """Films whose every pixel is their row number."""
    images = torch.arange(float(len(labels)))[:, None, None, None].expand(-1, 1, 2, 2)
    return images.clone(), torch.tensor(labels)


def test_each_channel_may_have_a_scale_of_its_own() -> None:
    scale = Normalization((0.1, 0.2, 0.3), (1.0, 0.5, 0.25))
    pixels = torch.full((2, 3, 4, 4), 0.6)
    images = scale.standardize(pixels)
    for channel, value in enumerate([0.5, 0.8, 1.2]):
        torch.testing.assert_close(images[:, channel], torch.full((2, 4, 4), value))
    torch.testing.assert_close(scale.display(images), pixels)


def test_bounded_clips_what_a_screen_cannot_show() -> None:
    shown = torch.tensor([-0.5, 0.0, 0.25, 1.0, 3.0])
    images = NORMALIZATION.bounded(NORMALIZATION.standardize(shown))
    torch.testing.assert_close(
        NORMALIZATION.display(images), torch.tensor([0.0, 0.0, 0.25, 1.0, 1.0])
    )


@pytest.mark.parametrize("scale", [NORMALIZATION, Normalization(low=0.4, high=0.6)])
def test_bounded_is_idempotent(scale: Normalization, rng: torch.Generator) -> None:
    once = scale.bounded(3 * torch.randn(1000, generator=rng))
    torch.testing.assert_close(scale.bounded(once), once, rtol=0, atol=1e-6)
    assert scale.display(once).min() == pytest.approx(scale.low)
    assert scale.display(once).max() == pytest.approx(scale.high)


def test_images_within_the_limits_stay_as_they_are_to_the_bit(rng: torch.Generator) -> None:
    images = torch.randn(1000, generator=rng).clamp(-1.9, 1.9)
    assert torch.equal(NORMALIZATION.bounded(images), images)
    unbounded = Normalization(low=-torch.inf, high=torch.inf)
    assert torch.equal(unbounded.bounded(1000 * images), 1000 * images)


@pytest.mark.parametrize("normalization", [NORMALIZATION, Normalization(0.2, 0.7)])
def test_display_undoes_standardize(normalization: Normalization, rng: torch.Generator) -> None:
    pixels = torch.rand(3, 1, 4, 4, generator=rng)
    images = normalization.standardize(pixels)
    torch.testing.assert_close(normalization.display(images), pixels)
    assert normalization.standardize(torch.tensor(normalization.mean)) == 0
    assert normalization.display(torch.tensor(1.0)).item() == pytest.approx(
        normalization.mean + normalization.std
    )


def test_classes_part_s_in_order() -> None:
    images = torch.arange(6.0)[:, None, None, None]
    s = SyntheticSet(images, torch.eye(3).repeat_interleave(2, 0), torch.tensor(0.0))
    assert (s.classes, s.ipc) == (3, 2)
    for label in range(3):
        x, y = s.of_class(label)
        assert x.flatten().tolist() == [2 * label, 2 * label + 1]
        assert y.argmax(1).tolist() == [label, label]
    assert s.tensors() == {"images": s.images, "labels": s.labels, "log_lr": s.log_lr}
    assert s.normalization == NORMALIZATION


def test_of_class_gives_views_through_which_gradients_reach_s() -> None:
    s = SyntheticSet(torch.ones(4, 1, 1, 1, requires_grad=True), torch.eye(2), torch.tensor(0.0))
    s.labels = torch.eye(2).repeat_interleave(2, 0)
    s.of_class(1)[0].sum().backward()
    assert s.images.grad.flatten().tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("size", [1, 3, 5])
def test_a_batch_holds_different_images_of_one_class_with_its_label(size: int) -> None:
    images, labels = numbered([0, 1, 0, 1, 1, 1, 1, 0])
    real = real_set(images, labels)
    seen: set[float] = set()
    for _ in range(40):
        x, y = asked(real, lambda x, y: (x, y), 1, size=size)
        rows = x[:, 0, 0, 0].tolist()
        assert len(rows) == len(set(rows)) == size
        assert set(rows) <= {1, 3, 4, 5, 6}
        assert y.tolist() == [[0, 1]] * size
        seen |= set(rows)
    assert seen == {1, 3, 4, 5, 6}


def test_a_class_smaller_than_the_batch_gives_all_it_has() -> None:
    images, labels = numbered([0, 1, 0, 0])
    x = asked(real_set(images, labels), lambda x, _: x, 0, size=100)
    assert sorted(x[:, 0, 0, 0].tolist()) == [0, 2, 3]


def test_the_answer_is_the_mean_over_single_images(films: Callable) -> None:
    images, labels = films(5, dtype=torch.double)
    f = convnet(2, 1, 16, width=4)
    theta = f.init(torch.Generator().manual_seed(0), like=images)
    whole = asked(real_set(images, labels), lambda x, _: f.embed(theta, x).mean(0), 1, size=5)
    singles = [f.embed(theta, x[None])[0] for x in images[labels == 1]]
    torch.testing.assert_close(whole, torch.stack(singles).mean(0))


@pytest.mark.parametrize("chunk", [1, 2, 3, 5, 7, 8])
def test_the_answer_does_not_depend_on_how_the_batch_is_cut(films: Callable, chunk: int) -> None:
    images, labels = films(7, classes=3, dtype=torch.double)
    f = convnet(3, 1, 16, width=4)
    theta = f.init(torch.Generator().manual_seed(0), like=images)

    def cut(x: Tensor, y: Tensor) -> tuple[Tensor, dict[str, Tensor], list[Tensor]]:
        assert len(x) == len(y) <= chunk
        loss, grads = loss_and_gradient(f, theta, x, y)
        return loss, grads, [f.embed(theta, x).mean(0), y.mean(0)]

    def answer(chunk: int, f: Callable) -> tuple:
        rng = torch.Generator().manual_seed(2)
        return asked(RealSet(images, labels, 3, rng, chunk=chunk), f, 1, size=7)

    def whole(x: Tensor, y: Tensor) -> tuple:
        loss, grads = loss_and_gradient(f, theta, x, y)
        return loss, grads, [f.embed(theta, x).mean(0), y.mean(0)]

    loss, grads, (features, hard) = answer(chunk, cut)
    expected_loss, expected_grads, (expected_features, expected_hard) = answer(100, whole)
    torch.testing.assert_close(loss, expected_loss, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(grads, expected_grads, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(features, expected_features, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(hard, expected_hard, rtol=1e-12, atol=1e-12)
    assert hard.tolist() == pytest.approx([0, 1, 0])


@pytest.mark.parametrize(("size", "most"), [(64, 32), (256, 2), (512, 1)])
def test_large_films_are_handed_over_a_few_at_a_time(size: int, most: int) -> None:
    images = torch.zeros(40, 1, 1, 1).expand(40, 1, size, size)
    seen: list[int] = []
    real = real_set(images, torch.zeros(40, dtype=torch.long), classes=1)
    asked(real, lambda x, _: seen.append(len(x)) or torch.zeros(()), 0, size=40)
    assert max(seen) == most
    assert sum(seen) == 40


@given(
    questions=st.lists(st.sets(st.integers(0, 2), min_size=1).map(tuple), min_size=1, max_size=4),
    seed=st.integers(0, 99),
)
def test_answers_to_several_questions_are_those_to_each_alone(
    questions: list[tuple[int, ...]], seed: int
) -> None:
    rng = torch.Generator().manual_seed(seed)
    images = torch.randn(9, 1, 4, 4, generator=rng, dtype=torch.double)
    labels = torch.tensor([0, 0, 0, 0, 1, 1, 1, 2, 2])
    weights = torch.randn(len(questions), 3, 16, generator=rng, dtype=torch.double)

    def f(weight: Tensor) -> Callable:
        return lambda x, y: {"x": ((y @ weight) * x.flatten(1)).mean(0), "y": y.mean(0)}

    # A batch of all there is, and of those only the order is drawn.
    together = real_set(images, labels, classes=3).means(
        [Question(f(w), classes) for w, classes in zip(weights, questions, strict=True)], size=9
    )
    for weight, classes, answer in zip(weights, questions, together, strict=True):
        alone = asked(real_set(images, labels, classes=3, seed=1), f(weight), *classes, size=9)
        rows = torch.isin(labels, torch.tensor(classes))
        y = torch.eye(3, dtype=torch.double)[labels[rows]]
        singles = [f(weight)(x[None], one[None]) for x, one in zip(images[rows], y, strict=True)]
        for part in ("x", "y"):
            mean = torch.stack([single[part] for single in singles]).mean(0)
            torch.testing.assert_close(answer[part], alone[part])
            torch.testing.assert_close(answer[part], mean)


@pytest.mark.parametrize("size", [1, 4, 6])
def test_a_question_about_several_classes_draws_from_their_union(size: int) -> None:
    images, labels = numbered([0, 1, 2, 1, 2, 2, 1, 0, 2])
    real, seen = real_set(images, labels, classes=3), set()
    for _ in range(40):
        x, y = asked(real, lambda x, y: (x, y), 1, 2, size=size)
        rows = x[:, 0, 0, 0].long().tolist()
        assert len(rows) == len(set(rows)) == size
        assert torch.equal(y.argmax(1), labels[rows])
        seen |= set(rows)
    assert seen == {1, 2, 3, 4, 5, 6, 8}


def test_in_a_balanced_answer_every_class_weighs_alike() -> None:
    images, labels = numbered([0, 0, 0, 1])
    x, y = balanced(real_set(images, labels), lambda x, y: (x.mean(), y.mean(0)), size=10)
    assert x.item() == pytest.approx(((0 + 1 + 2) / 3 + 3) / 2)
    assert y.tolist() == pytest.approx([0.5, 0.5])


class ClassByClass:
    """Asks a plain source about one class after another, as a private one is asked."""

    def __init__(self, real: RealSet) -> None:
        self.classes, self._real = real.classes, real
        self.questions: list[Question] = []

    def means(self, questions: list[Question], *, size: int) -> list:
        self.questions += questions
        return self._real.means(questions, size=size)


@pytest.mark.parametrize("counts", [(6, 6, 6), (2, 9, 9), (1, 3, 5), (9, 2, 9), (4,)])
@pytest.mark.parametrize("chunk", [1, 4, 100])
def test_classes_answered_together_give_what_they_give_one_by_one(
    counts: tuple[int, ...], chunk: int
) -> None:
    labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(1))]
    images = torch.randn(len(labels), 1, 4, 4, dtype=torch.double)
    network = convnet(len(counts), 1, 4, width=2, depth=1)
    theta = network.init(torch.Generator().manual_seed(2), like=images)
    answers, states = [], []
    for kind in (lambda real: real, ClassByClass):
        rng = torch.Generator().manual_seed(3)
        real = kind(RealSet(images, labels, len(counts), rng, chunk=chunk))
        answers.append(balanced(real, lambda x, y: loss_and_gradient(network, theta, x, y), size=5))
        states.append(rng.get_state())
    assert [question.classes for question in real.questions] == [(c,) for c in range(len(counts))]
    torch.testing.assert_close(*answers, rtol=1e-10, atol=1e-12)
    assert torch.equal(*states)


@pytest.mark.parametrize(
    ("counts", "batches"), [((7, 7, 7), [15]), ((5, 3, 8), [10, 3]), ((1, 2, 3), [1, 2, 3])]
)
def test_classes_that_give_equally_many_images_share_one_pass(
    counts: tuple[int, ...], batches: list[int]
) -> None:
    labels = torch.arange(3).repeat_interleave(torch.tensor(counts))
    seen: list[int] = []
    real = real_set(torch.zeros(len(labels), 1, 2, 2), labels, classes=3)
    balanced(real, lambda x, _: seen.append(len(x)) or x.mean(), size=5)
    assert seen == batches


def test_the_answer_carries_no_graph(films: Callable) -> None:
    images, labels = films(3)
    weight = torch.ones((), requires_grad=True)
    answer = asked(real_set(images, labels), lambda x, _: (weight * x).mean(), 0, size=2)
    assert not answer.requires_grad


def test_batches_follow_from_the_generator_alone(films: Callable) -> None:
    images, labels = films(8)
    torch.manual_seed(5)
    before = torch.get_rng_state()

    def batches(seed: int) -> Tensor:
        real = real_set(images, labels, seed=seed)
        return torch.stack([asked(real, lambda x, _: x, 0, size=2) for _ in range(5)])

    first = batches(0)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    assert torch.equal(batches(0), first)
    assert not torch.equal(batches(1), first)
    assert not torch.equal(first[0], first[1])
