"""Whitened likeness against the formula written out, with films left out by computing anew."""

import numpy as np
import pytest
import torch
from torch import Tensor

from privacy.likeness.residual import Residual
from privacy.likeness.whitening import Whitened


def expected(rows: Tensor, queries: Tensor, n: int, strength: float) -> np.ndarray:
    """Returns the likeness by an inverse of the covariance, of rows divided by ``n``."""
    x, q = rows.numpy(), queries.numpy()
    inverse = np.linalg.inv(x.T @ x / n + strength * np.eye(x.shape[1]))
    inner = q @ inverse @ x.T
    own = np.sqrt(np.einsum("id,de,ie->i", q, inverse, q))
    return inner / own[:, None] / np.sqrt(np.einsum("id,de,ie->i", x, inverse, x))


@pytest.mark.parametrize("dimensions", [5, 30])
def test_likeness_is_the_cosine_in_whitened_coordinates(
    dimensions: int, rng: torch.Generator
) -> None:
    rows, queries = (torch.randn(n, dimensions, generator=rng).double() for n in (12, 4))
    strength = 0.1 * float(rows.square().sum()) / 12
    found = Whitened(rows, 0.1).likeness(queries)
    np.testing.assert_allclose(found, expected(rows, queries, 12, strength), rtol=1e-6)
    own = Whitened(rows, 0.1).likeness(rows)
    np.testing.assert_allclose(own.diagonal(), np.ones(12), rtol=1e-6)


@pytest.mark.parametrize("dimensions", [5, 30])
def test_films_left_out_are_as_if_they_had_never_been_seen(
    dimensions: int, rng: torch.Generator
) -> None:
    rows = torch.randn(12, dimensions, generator=rng).double()
    strength = 0.1 * float(rows.square().sum()) / 12
    without = torch.tensor([[3, 7], [5, -1]])
    found = Whitened(rows, 0.1).likeness(rows[[3, 5]], without)
    for got, query, gone in zip(found, (3, 5), ((3, 7), (5,)), strict=True):
        kept = [i for i in range(12) if i not in gone]
        x = rows[kept].numpy()
        inverse = np.linalg.inv(x.T @ x / 12 + strength * np.eye(dimensions))
        q = rows[query].numpy()
        inner = x @ inverse @ q / np.sqrt(q @ inverse @ q)
        # A film's own length is that in the coordinates of everybody.
        whole = np.linalg.inv(rows.T.numpy() @ rows.numpy() / 12 + strength * np.eye(dimensions))
        lengths = np.sqrt(np.einsum("id,de,ie->i", x, whole, x))
        np.testing.assert_allclose(got[kept], inner / lengths, rtol=1e-6)
        assert not got[list(gone)].any()


@pytest.mark.parametrize("dimensions", [5, 30])
def test_aims_are_the_directions_of_likeness(dimensions: int, rng: torch.Generator) -> None:
    rows = torch.randn(12, dimensions, generator=rng).double()
    whitened, query = Whitened(rows, 0.1), torch.randn(1, dimensions, generator=rng).double()
    along = (query @ whitened.aims().T)[0] / whitened.aims().mul(rows).sum(1).sqrt()
    found = whitened.likeness(query)[0]
    torch.testing.assert_close(found / found.abs().max(), along / along.abs().max())


def test_films_that_are_all_blank_are_like_nothing() -> None:
    assert not Whitened(torch.zeros(4, 3), 0.1).likeness(torch.zeros(2, 3)).any()


def test_residuals_know_neither_brightness_nor_contrast_nor_the_class(
    rng: torch.Generator,
) -> None:
    films, labels = torch.rand(20, 9, generator=rng), torch.arange(20) % 2
    residual, image = Residual(films, labels, 0.05), torch.rand(1, 9, generator=rng)
    likeness = residual.likeness(image)
    means = torch.stack([films[labels == c].mean(0) for c in (0, 1)])
    for same in (1 - image, 0.3 * image + 0.2, image + 2 * means[:1] - means[1:]):
        torch.testing.assert_close(residual.likeness(same), likeness, rtol=1e-3, atol=1e-4)
    # Of a class mean nothing is left.
    assert not residual.likeness(means).any()


def test_few_axes_are_the_leading_ones(rng: torch.Generator) -> None:
    # One of three shapes is in the mean, which is taken away.
    shape = torch.randn(3, 9, generator=rng)
    films = 0.5 + torch.randn(30, 3, generator=rng) @ shape
    labels = torch.zeros(30, dtype=torch.long)
    whole, few = (Residual(films, labels, 0.05, axes=axes) for axes in (None, 2))
    torch.testing.assert_close(few.likeness(films), whole.likeness(films), rtol=1e-3, atol=1e-3)
