"""What is drawn for an image: the same wherever it stands, and spread evenly over the table."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from medidd.denoisers.draws import Draws


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def table(rows: int, seed: int = 0, **more: object) -> Draws:
    how = {"pixels": 16, "like": torch.empty(0)} | more
    return Draws.drawn(rows, (2, 4, 4), 1000, seeded(seed), **how)


@given(rows=st.integers(1, 1500), seed=st.integers(0, 99))
def test_moments_are_spread_evenly(rows: int, seed: int) -> None:
    moments = table(rows, seed).moments
    assert moments.dtype == torch.int64
    assert moments.min() >= 0
    assert moments.max() <= 999
    # One in each of as many equal parts; float32 may round one up to the next.
    parts = (moments.sort()[0].double() + 1) / 1000 * rows
    assert (parts > torch.arange(rows) - 1e-3 * rows).all()
    assert (parts <= torch.arange(rows) + 1 + rows / 1000 + 1e-3 * rows).all()


def test_noise_is_standard_normal_and_as_many_labels_are_hidden_as_was_asked() -> None:
    drawn = table(4000, hidden=0.2)
    assert drawn.noise.shape == (4000, 2, 4, 4)
    assert float(drawn.noise.mean()) == pytest.approx(0, abs=0.02)
    assert float(drawn.noise.std()) == pytest.approx(1, abs=0.02)
    assert float(drawn.blind.float().mean()) == pytest.approx(0.2, abs=0.03)
    assert not table(4000).blind.any()


def test_a_table_follows_from_the_generator_and_takes_the_dtype_of_the_weights() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one, two, other = table(9), table(9, like=torch.empty(0, dtype=torch.double)), table(9, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert two.noise.dtype == torch.double
    assert one.direction.dtype == two.direction.dtype == torch.double
    for name in ("direction", "moments", "noise", "blind"):
        assert torch.equal(getattr(one, name), getattr(two, name).to(getattr(one, name)))
    assert not torch.equal(one.noise, other.noise)
    assert not torch.equal(one.direction, other.direction)


def images(count: int, seed: int = 3, size: int = 4) -> Tensor:
    return torch.randn(count, 1, size, size, generator=seeded(seed))


@given(
    order=st.permutations(range(12)),
    first=st.integers(0, 11),
    count=st.integers(1, 12),
    double=st.booleans(),
)
def test_the_row_of_an_image_depends_on_the_image_alone(
    order: list[int], first: int, count: int, double: bool
) -> None:
    drawn, x = table(50), images(12)
    rows = drawn.rows(x)
    moved = x[order].double() if double else x[order]
    assert torch.equal(drawn.rows(moved), rows[order])
    part = slice(first, first + count)
    assert torch.equal(drawn.rows(x[part]), rows[part])


def test_images_spread_over_the_rows_even_if_they_differ_little() -> None:
    near = images(1, size=32) + 0.05 * images(4000, seed=4, size=32)
    for x in (images(4000), near):
        counts = torch.bincount(table(10, pixels=x[0].numel()).rows(x), minlength=10)
        assert counts.min() > 300
        assert counts.max() < 500


def test_another_table_gives_an_image_another_row() -> None:
    rows = [table(100, seed).rows(images(30)) for seed in range(2)]
    assert (rows[0] != rows[1]).float().mean() > 0.8


@pytest.mark.parametrize("pixel", [0.0, 2.0, -2.0, 1e6])
def test_every_image_has_a_row(pixel: float) -> None:
    rows = table(7).rows(torch.full((3, 1, 4, 4), pixel))
    assert ((rows >= 0) & (rows < 7)).all()
    assert len(rows.unique()) == 1
