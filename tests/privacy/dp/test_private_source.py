"""The private source: what it answers, whom it counts how, and what it remembers."""

import math
import stat
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from privacy.dp.accounting import Series
from privacy.dp.layout import Layout
from privacy.dp.mechanism import BudgetSpentError, PatientGaussian
from privacy.dp.phantoms import phantoms
from privacy.dp.source import PrivateSource

QUIET = 1e-7


@dataclass(frozen=True)
class Q:
    f: Any
    classes: tuple[int, ...]
    bound: float | None = None
    weight: float = 1.0


def pixels(images: Tensor, _: Tensor) -> Tensor:
    return images.flatten(1).mean(0)


def source(
    images: Tensor,
    labels: Sequence[int],
    patients: Sequence[Hashable],
    *,
    sigma: float = QUIET,
    releases: int = 5,
    store: Path | None = None,
    classes: int = 3,
) -> PrivateSource:
    mechanism = PatientGaussian(Series(sigma, releases), patients=10)
    public = phantoms(8, 4) - 0.5
    return PrivateSource(
        images, torch.tensor(labels, dtype=torch.int64), patients, classes, mechanism, public, store
    )


FILMS = torch.rand(6, 1, 4, 4, generator=torch.Generator().manual_seed(3)) - 0.5
LABELS, PATIENTS = [0, 0, 1, 1, 0, 1], ["a", "a", "a", "b", "c", "d"]


def test_with_little_noise_the_answer_is_the_mean_over_patients() -> None:
    got = source(FILMS, LABELS, PATIENTS).means(
        [Q(pixels, (0,), 2.0), Q(pixels, (0, 1), 2.0)], size=1
    )
    flat = FILMS.flatten(1)
    # Patient a has three films and counts once: two thirds of him for class 0.
    of_zero = (2 / 3 * flat[:2].mean(0) + flat[4]) / (2 / 3 + 1)
    of_both = (flat[:3].mean(0) + flat[3] + flat[4] + flat[5]) / 4
    torch.testing.assert_close(got[0], of_zero, atol=1e-4, rtol=0)
    torch.testing.assert_close(got[1], of_both, atol=1e-4, rtol=0)


def test_answers_have_the_shape_and_type_of_the_question() -> None:
    def f(images: Tensor, labels: Tensor) -> dict[str, Any]:
        return {
            "loss": labels.double().mean(),
            "parts": (images.mean((0, 1)), [images.sum(1).mean()]),
        }

    (got,) = source(FILMS, LABELS, PATIENTS).means([Q(f, (1,))], size=1)
    assert got["loss"].dtype == torch.float64
    assert got["loss"].shape == ()
    assert got["parts"][0].shape == (4, 4)
    assert got["parts"][0].dtype == torch.float32
    torch.testing.assert_close(got["loss"].item(), 1 / 3, atol=1e-3, rtol=0)


def test_a_gradient_may_be_asked() -> None:
    w = torch.ones(16)

    def slope(images: Tensor, _: Tensor) -> Tensor:
        with torch.enable_grad():
            weight = w.clone().requires_grad_()
            (grad,) = torch.autograd.grad((images.flatten(1) @ weight).square().mean(), weight)
        return grad

    (got,) = source(FILMS[4:], LABELS[4:], PATIENTS[4:]).means([Q(slope, (1,))], size=1)
    torch.testing.assert_close(got, slope(FILMS[5:], w), atol=2e-2, rtol=0)


def test_a_class_without_films_is_answered_with_noise_that_is_bounded() -> None:
    got = source(FILMS, LABELS, PATIENTS, sigma=3.0).means([Q(pixels, (2,), 1.0)] * 1, size=1)[0]
    assert got.isfinite().all()
    # The noisy count is at its floor at least: no number is noise over almost nothing.
    assert got.abs().max() < 10
    assert source(FILMS[:0], [], []).means([Q(pixels, (0,))], size=1)[0].isfinite().all()


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0), (5.0, 1.0, 0.1)])
@pytest.mark.parametrize("bound", [None, 1.0])
def test_no_patient_moves_the_sum_by_more_than_the_clip(
    monkeypatch: pytest.MonkeyPatch, weights: tuple[float, ...], bound: float | None
) -> None:
    """Every neighbour: 1, 2 or 20 films, one or two classes; dark, bright, huge or broken."""
    monkeypatch.setattr("privacy.dp.mechanism.gaussian", np.zeros)
    asked = [Q(pixels, (0,), bound, weights[0]), Q(pixels, (1, 2), bound, weights[1])]
    asked.append(Q(lambda x, _: x.square().mean(), (0, 1, 2), bound, weights[2]))
    layout = Layout(asked, 3, phantoms(8, 4) - 0.5, clip=1.0)
    grey = [0.0, 0.1, -1e4, 1e18, math.nan]

    def total(images: Tensor, labels: Sequence[int], patients: Sequence[str]) -> Tensor:
        return 10 * source(images, labels, patients).noisy(layout)

    without, moved = total(FILMS, LABELS, PATIENTS), []
    for count, (first, second), values in product(
        (1, 2, 20), ((0, 0), (0, 1), (2, 1)), product(grey, repeat=2)
    ):
        mine = torch.tensor([values[i % 2] for i in range(count)])[:, None, None, None]
        his = [(first, second)[i % 2] for i in range(count)]
        films = torch.cat([FILMS, mine.expand(count, 1, 4, 4)])
        moved.append(total(films, LABELS + his, [*PATIENTS, *["new"] * count]) - without)
    norms = torch.stack([step.norm() for step in moved])
    assert norms.max() <= 1
    assert norms.max() > 1 - 1e-6
    assert norms.min() > 0


def test_films_within_the_bound_are_not_clipped() -> None:
    asked = [Q(pixels, (0,), 2.0, 3.0), Q(pixels, (0, 1), 2.0), Q(pixels, (1,), 2.0)]
    layout = Layout(asked, 2, phantoms(8, 4), clip=1.0)
    bright = torch.full((2, 1, 4, 4), 0.5)  # of norm 2, the bound
    private = source(bright, [0, 1], ["a", "b"], classes=2)
    assert float(private.vector(layout, [0]).norm()) == pytest.approx(1)
    assert float(private.vector(layout, [1]).norm()) < 1
    assert float(private.vector(layout, [0, 1]).norm()) < 1


def test_each_patient_is_computed_alone() -> None:
    seen = []

    def f(images: Tensor, _: Tensor) -> Tensor:
        seen.append(len(images))
        return images.mean((0, 1, 2))

    source(FILMS, LABELS, PATIENTS).means([Q(f, (0, 1), 1.0)], size=99)
    assert sorted(seen) == [1, 1, 1, 1, 3]  # the first is the phantom


def test_the_same_question_gets_the_same_answer_also_after_a_restart(tmp_path: Path) -> None:
    asked = [Q(pixels, (0,))]
    private = source(FILMS, LABELS, PATIENTS, sigma=1.0, store=tmp_path)
    first, second = (private.means(asked, size=1)[0] for _ in range(2))
    assert not torch.equal(first, second)
    assert private.position == 2
    private.position = 1
    assert torch.equal(private.means(asked, size=1)[0], second)
    resumed = source(FILMS, LABELS, PATIENTS, sigma=1.0, store=tmp_path)
    assert torch.equal(resumed.means(asked, size=1)[0], first)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("stored", [True, False])
def test_the_budget_holds_across_restarts(tmp_path: Path, stored: bool) -> None:
    asked = [Q(pixels, (0,))]
    private = source(FILMS, LABELS, PATIENTS, releases=2, store=tmp_path if stored else None)
    for _ in range(2):
        private.means(asked, size=1)
    if stored:
        private = source(FILMS, LABELS, PATIENTS, releases=2, store=tmp_path)
        private.position = 2
    with pytest.raises(BudgetSpentError):
        private.means(asked, size=1)


def test_an_answer_to_other_questions_is_refused(tmp_path: Path) -> None:
    source(FILMS, LABELS, PATIENTS, store=tmp_path).means([Q(pixels, (0,))], size=1)
    with pytest.raises(ValueError, match="another run"):
        source(FILMS, LABELS, PATIENTS, store=tmp_path).means([Q(pixels, (0,))] * 2, size=1)


def test_a_gap_in_the_answers_is_refused() -> None:
    private = source(FILMS, LABELS, PATIENTS)
    private.position = 3
    with pytest.raises(ValueError, match="3 answers, but only 0"):
        private.means([Q(pixels, (0,))], size=1)


def test_a_second_process_cannot_replace_an_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = source(FILMS, LABELS, PATIENTS, store=tmp_path)
    kept = one.means([Q(pixels, (0,))], size=1)[0]
    other = source(FILMS, LABELS, PATIENTS, store=tmp_path)
    monkeypatch.setattr(type(other._answers), "__len__", lambda _: 0)  # it looked before the first
    with pytest.raises(FileExistsError):
        other.means([Q(pixels, (0,))], size=1)
    monkeypatch.undo()
    assert len(list(tmp_path.iterdir())) == 1
    again = source(FILMS, LABELS, PATIENTS, store=tmp_path)
    assert torch.equal(again.means([Q(pixels, (0,))], size=1)[0], kept)


def test_an_answer_is_never_kept_as_that_to_another_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes find no answer; one answers while the other still adds up."""
    one, slow = (source(FILMS, LABELS, PATIENTS, store=tmp_path) for _ in range(2))
    computed = slow.noisy

    def overtaken(layout: Layout) -> torch.Tensor:
        answer = computed(layout)
        one.means([Q(pixels, (0,))], size=1)
        return answer

    monkeypatch.setattr(slow, "noisy", overtaken)
    with pytest.raises(FileExistsError):
        slow.means([Q(pixels, (0,))], size=1)
    assert [path.name for path in tmp_path.iterdir()] == ["answer-000000.npy"]


def test_phantoms_are_always_the_same_and_have_the_spectrum_of_nature() -> None:
    pictures = phantoms(50, 32)
    assert torch.equal(pictures, phantoms(50, 32))
    assert pictures.shape == (50, 1, 32, 32)
    assert 0 <= pictures.min() < pictures.max() <= 1
    power = (
        torch.fft.fft2(pictures - pictures.mean((2, 3), keepdim=True)).abs().square().mean((0, 1))
    )
    # From 2 to 8 cycles per picture the power falls to a sixteenth, give or take the clamping.
    assert 8 < float(power[0, 2] / power[0, 8]) < 32
