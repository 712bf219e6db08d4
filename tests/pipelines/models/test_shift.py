import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from pipelines.models.shift import (
    BLANK_WORDS,
    INTENSITY_WORDS,
    INVERTED_WORDS,
    LAYOUT_WORDS,
    LIMITS,
    NOISY,
    TURN_WORDS,
    Shift,
    allowance,
    shift,
)

SIZE = 32
LABELS = torch.eye(2).repeat_interleave(3, 0)


def chests(count: int, label: int, seed: int) -> Tensor:
    """Draws bodies with two lungs, a heart to one side and, in class 1, a patch in one lung."""
    rng = torch.Generator().manual_seed(seed)
    rows, columns = torch.meshgrid(*[torch.linspace(-1, 1, SIZE)] * 2, indexing="ij")

    def disc(row: float, column: float, high: float, wide: float) -> Tensor:
        move = 0.03 * torch.randn(4, count, 1, 1, generator=rng)
        inside = ((rows - row - move[0]) / (high + move[2])) ** 2
        inside = inside + ((columns - column - move[1]) / (wide + move[3])) ** 2
        return torch.sigmoid(6 * (1 - inside))

    film = 0.1 + 0.6 * disc(0.2, 0, 1.3, 0.9)
    film = film - 0.4 * disc(-0.1, -0.4, 0.6, 0.3) - 0.4 * disc(-0.1, 0.4, 0.6, 0.3)
    film = film + 0.25 * disc(0.25, 0.2, 0.3, 0.3) + 0.15 * label * disc(0.1, -0.4, 0.25, 0.2)
    noise = 0.02 * torch.randn(film.shape, generator=rng)
    return (film + noise).clamp(0, 1)[:, None]


@cache
def cohort(count: int, seed: int = 1) -> Tensor:
    return torch.cat([chests(count - count // 2, 0, seed), chests(count // 2, 1, seed + 1)])


@cache
def release(noise: float = 0.03) -> Tensor:
    """Returns means of many films each with noise, as matching comes to."""
    rng = torch.Generator().manual_seed(0)
    means = [chests(30, i // 3, 100 + i).mean(0) for i in range(6)]
    images = torch.stack(means)
    return (images + noise * torch.randn(images.shape, generator=rng)).clamp(0, 1)


def digits(count: int) -> Tensor:
    rng = torch.Generator().manual_seed(3)
    strokes = torch.zeros(count, 1, SIZE, SIZE)
    for i in range(count):
        top, left = torch.randint(6, 12, (2,), generator=rng).tolist()
        strokes[i, :, top : top + 14, left : left + 2] = 1
        strokes[i, :, top : top + 2, left : left + 9] = 1
    return strokes


def found(films: Tensor) -> Shift:
    return shift(release(), LABELS, films)


@pytest.mark.parametrize("count", [1, 2, 5, 20, 100])
def test_films_like_the_members_are_not_warned_about(count: int) -> None:
    like = found(cohort(count))
    assert not like.unlike
    assert like.looks == ()
    assert like.layout
    assert like.intensity
    assert like.films.shape == (count,)
    assert not like.odd.any()
    assert set(like.film_looks) == {()}


@pytest.mark.parametrize("label", [0, 1])
def test_films_of_one_class_only_are_not_warned_about(label: int) -> None:
    assert not found(chests(20, label, 7)).unlike


@pytest.mark.parametrize(
    "changed",
    [
        lambda x: 1.05 * x,
        lambda x: 0.95 * x,
        lambda x: 0.5 + 1.1 * (x - 0.5),
        lambda x: 0.5 + 0.9 * (x - 0.5),
        lambda x: x.roll(1, -1),
    ],
)
def test_small_differences_are_not_warned_about(changed) -> None:
    assert not found(changed(cohort(20)).clamp(0, 1)).unlike


@pytest.mark.parametrize(
    ("changed", "looks"),
    [
        (lambda x: 1 - x, INVERTED_WORDS),
        (lambda x: x.rot90(1, (-2, -1)), TURN_WORDS),
        (lambda x: x.flip(-2), TURN_WORDS),
        (lambda x: x**0.4, INTENSITY_WORDS),
        (lambda x: x**2.5, INTENSITY_WORDS),
        (lambda x: 0.25 + 0.4 * x, INTENSITY_WORDS),
        (lambda x: digits(len(x)), LAYOUT_WORDS),
        (lambda x: F.interpolate(x[..., 8:24, 8:24], (SIZE, SIZE)), LAYOUT_WORDS),
    ],
)
def test_other_films_are_named_for_what_they_look_like(changed, looks: str) -> None:
    other = found(changed(cohort(20)))
    assert other.unlike
    assert looks in other.looks
    assert (LAYOUT_WORDS in other.looks) == (looks == LAYOUT_WORDS)


def test_mirrored_films_are_noticed_together() -> None:
    assert TURN_WORDS in found(cohort(50).flip(-1)).looks


def test_one_odd_film_among_good_ones_is_found() -> None:
    films = cohort(20).clone()
    films[3], films[11], films[12] = 1 - films[3], digits(1)[0], films[12].rot90(1, (-2, -1))
    odd = found(films)
    assert np.flatnonzero(odd.odd).tolist() == [3, 11, 12]
    assert odd.film_looks[3] == (INVERTED_WORDS,)
    assert LAYOUT_WORDS in odd.film_looks[11]
    assert TURN_WORDS in odd.film_looks[12]
    assert odd.film_looks[0] == ()


def test_the_warning_says_what_is_wrong_and_how_many_films_are_odd() -> None:
    assert found(cohort(20)).text() == ""
    films = torch.cat([cohort(40), 1 - cohort(1)])
    assert found(films).text().startswith("1 of 41 films")
    first, second = found(1 - cohort(20)).text().splitlines()
    assert "do not look like the distilled ones: inverted (distance" in first
    assert second.startswith("20 of 20 films")
    barely = replace(found(1 - cohort(20)), distance=1.0001)
    assert "(distance 1.01, limit 1)" in barely.text()


@pytest.mark.parametrize("level", [0.0, 0.4, 1.0])
def test_a_blank_film_is_called_blank(level: float) -> None:
    blank = found(torch.full((1, 1, SIZE, SIZE), level))
    assert blank.unlike
    assert blank.looks == (BLANK_WORDS,)
    assert math.isfinite(blank.distance)


def test_a_single_film_is_as_far_as_the_set_of_it() -> None:
    one = found(cohort(1))
    assert one.distance == pytest.approx(one.films[0])


def test_any_mixture_of_classes_fits() -> None:
    third = F.avg_pool2d(digits(3), 5, 1, 2)
    images = torch.cat([release(), 0.3 + 0.3 * third])
    labels = torch.eye(3).repeat_interleave(3, 0)
    assert not shift(images, labels, cohort(20)).unlike
    assert shift(images, labels, 1 - cohort(20)).unlike


@pytest.mark.parametrize("films", [slice(0, 10), slice(10, 20), slice(0, 20)])
def test_classes_may_differ_much_and_occur_in_any_share(films: slice) -> None:
    def half(x: Tensor) -> Tensor:
        faint = 0.4 + 0.4 * (x.flip(-2) - 0.4)
        return torch.cat([x[: len(x) // 2], faint[len(x) // 2 :]])

    assert not shift(half(release()), LABELS, half(cohort(20))[films]).unlike
    assert shift(half(release()), LABELS, half(cohort(20)).rot90(1, (-2, -1))[films]).unlike


def test_labels_may_be_soft_or_unbounded_and_a_class_may_be_empty() -> None:
    soft = torch.cat([0.8 * LABELS + 0.1, torch.zeros(6, 1)], 1)
    for labels in (soft, 21 * LABELS - 10):
        assert not shift(release(), labels, cohort(20)).unlike
        assert shift(release(), labels, cohort(20).flip(-2)).unlike


def test_rough_images_tell_the_layout_but_no_intensities() -> None:
    images = 0.5 + 0.5 * (release(0) - 0.4)
    images = images + 0.15 * torch.randn(images.shape, generator=torch.Generator().manual_seed(1))
    like = shift(images.clamp(0, 1), LABELS, cohort(20))
    assert like.layout
    assert not like.intensity
    assert not like.unlike
    assert INVERTED_WORDS in shift(images.clamp(0, 1), LABELS, 1 - cohort(20)).looks


GUARANTEED = allowance([{"epsilon": 2.0, "delta": 1e-5}])


def drawn_to_gray(by: float) -> Tensor:
    """Returns a release with less contrast about gray, as noise on few patients makes it."""
    return 0.5 + by * (release() - 0.5)


@pytest.mark.parametrize("count", [1, 20, 100])
@pytest.mark.parametrize("by", [0.5, 0.7, 1.0])
def test_images_with_a_guarantee_may_be_nearer_to_gray(count: int, by: float) -> None:
    like = shift(drawn_to_gray(by), LABELS, cohort(count), GUARANTEED)
    assert not like.unlike
    assert like.looks == ()
    assert not like.odd.any()


def test_images_without_a_guarantee_may_not_be_nearer_to_gray() -> None:
    found = shift(drawn_to_gray(0.5), LABELS, cohort(100), allowance([None]))
    assert found.looks == (INTENSITY_WORDS,)


@pytest.mark.parametrize("by", [0.5, 1.0])
@pytest.mark.parametrize(
    ("changed", "looks"),
    [
        (lambda x: 0.5 + 0.2 * (x - 0.5), INTENSITY_WORDS),
        (lambda x: 0.9 * x + 0.25, INTENSITY_WORDS),
        (lambda x: x**0.4, INTENSITY_WORDS),
        (lambda x: 1 - x, INVERTED_WORDS),
        (lambda x: x.rot90(1, (-2, -1)), TURN_WORDS),
    ],
)
def test_a_guarantee_explains_no_other_difference(by: float, changed, looks: str) -> None:
    films = changed(cohort(100)).clamp(0, 1)
    assert looks in shift(drawn_to_gray(by), LABELS, films, GUARANTEED).looks


def test_a_guarantee_explains_a_difference_only_so_far() -> None:
    faint = drawn_to_gray(0.35 / NOISY)
    assert shift(faint, LABELS, cohort(100), GUARANTEED).looks == (INTENSITY_WORDS,)


def test_an_allowance_makes_no_film_more_unlike() -> None:
    for films in (cohort(20), cohort(20) ** 2, 1 - cohort(20)):
        plain, allowed = (shift(release(), LABELS, films, most) for most in (1.0, GUARANTEED))
        assert allowed.distance <= plain.distance
        assert (allowed.films <= plain.films).all()


def test_one_guarantee_among_bundles_is_enough() -> None:
    told = {"epsilon": 2.0, "delta": 1e-5}
    assert allowance([None, None]) == 1
    assert allowance([None, told]) == allowance([told]) == NOISY


def test_images_of_noise_tell_nothing_and_cause_no_warning() -> None:
    images = torch.rand(6, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    nothing = shift(images, LABELS, cohort(5))
    assert not nothing.layout
    assert not nothing.intensity
    assert math.isnan(nothing.distance)
    assert np.isnan(nothing.films).all()
    assert not nothing.unlike
    assert not nothing.odd.any()
    assert nothing.film_looks == ((),) * 5
    assert "too noisy" in nothing.text()


def test_limits_fall_with_the_number_of_films() -> None:
    for limit in LIMITS:
        at = [limit.at(count) for count in (1, 5, 20, 1000)]
        assert at == sorted(at, reverse=True)
        assert at[-1] > 0


def test_nothing_given_is_changed() -> None:
    images, films = release(), cohort(4)
    before = images.clone(), films.clone()
    shift(images, LABELS, films)
    assert torch.equal(images, before[0])
    assert torch.equal(films, before[1])


@pytest.mark.parametrize(
    ("images", "labels", "films", "says"),
    [
        (release(), LABELS, cohort(2)[:, 0], "the films: expected"),
        (release(), LABELS, cohort(2)[:0], "the films: expected"),
        (release()[:, :, :12, :12], LABELS, cohort(2)[:, :, :12, :12], "at least 16 px"),
        (release(), LABELS, F.interpolate(cohort(2), (64, 64)), "the release's size"),
        (release(), LABELS, cohort(2).expand(-1, 3, -1, -1), "the release's size"),
        (release(), LABELS[:5], cohort(2), "the labels"),
        (release(), LABELS[:, 0], cohort(2), "the labels"),
        (release(), torch.zeros(6, 2), cohort(2), "the labels"),
        (release(), LABELS * torch.inf, cohort(2), "the labels"),
        (release(), LABELS, 4 * cohort(2) - 2, "undo the normalisation"),
        (release(), LABELS, cohort(2) * torch.nan, "display values"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(images, labels, films, says: str) -> None:
    with pytest.raises(ValueError, match=says) as error:
        shift(images, labels, films)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("inverted", "many"), [(1, False), (3, False), (30, True)])
def test_a_wrong_minority_is_more_than_chance_gives(inverted: int, many: bool) -> None:
    films = torch.cat([cohort(60), 1 - cohort(inverted, seed=7)])
    seen = found(films)
    assert int(seen.odd.sum()) >= inverted
    assert seen.many_odd is many
    assert ("more than chance gives" in seen.text()) is many
