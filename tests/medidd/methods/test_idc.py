"""Multi-formation and matching on real networks, one tile and one step at a time."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from medidd.architectures import convnet, mlp
from medidd.data import NORMALIZATION, Normalization, RealSet, SyntheticSet
from medidd.distill import distill
from medidd.methods.idc import IDC
from medidd.network import Network, Weights
from medidd.sketch import LayerSketch


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# Multi-formation.


def enlarged(tile: Tensor, height: int, width: int) -> Tensor:
    """Bilinear, pixels being areas: the value at a point lies between the nearest centres."""
    out = torch.empty(height, width, dtype=tile.dtype)
    for i in range(height):
        for j in range(width):
            row = max((i + 0.5) * tile.shape[0] / height - 0.5, 0)
            column = max((j + 0.5) * tile.shape[1] / width - 0.5, 0)
            top, left = math.floor(row), math.floor(column)
            below, right = min(top + 1, tile.shape[0] - 1), min(left + 1, tile.shape[1] - 1)
            down, across = row - top, column - left
            upper = (1 - across) * tile[top, left] + across * tile[top, right]
            lower = (1 - across) * tile[below, left] + across * tile[below, right]
            out[i, j] = (1 - down) * upper + down * lower
    return out


@pytest.mark.parametrize("factor", [1, 2, 3])
@pytest.mark.parametrize("size", [4, 6, 7])
@pytest.mark.parametrize("scale", [NORMALIZATION, Normalization((0.2, 0.6), (0.5, 0.3))])
def test_decode_enlarges_tile_after_tile(
    factor: int, size: int, scale: Normalization, rng: torch.Generator
) -> None:
    images = torch.randn(4, 2, size, size, generator=rng, dtype=torch.double)
    labels = torch.eye(2, dtype=torch.double).repeat_interleave(2, 0)
    s = SyntheticSet(images, labels, torch.tensor(0.0), scale)
    method = IDC(convnet(2, 2, size, width=2), factor=factor)
    released = method.decode(s)

    side = math.ceil(size / factor)
    gray = scale.standardize(torch.full((1, 2, 1, 1), 0.5, dtype=torch.double))
    mosaics = gray.expand(4, 2, side * factor, side * factor).clone()
    mosaics[:, :, :size, :size] = images
    expected = []
    for mosaic in mosaics:
        for down in range(factor):
            for across in range(factor):
                rows, columns = slice(down * side, None), slice(across * side, None)
                tile = mosaic[:, rows, columns][:, :side, :side]
                expected.append(torch.stack([enlarged(plane, size, size) for plane in tile]))
    torch.testing.assert_close(released.images, torch.stack(expected), rtol=1e-9, atol=1e-9)
    assert method.shown == factor**2
    assert released.ipc == 2 * factor**2
    assert released.labels.argmax(1).tolist() == [0] * 2 * factor**2 + [1] * 2 * factor**2
    assert (released.log_lr, released.normalization) == (s.log_lr, scale)


@pytest.mark.parametrize("size", [6, 16, 33])
def test_a_factor_of_one_changes_nothing(size: int, rng: torch.Generator) -> None:
    images = torch.randn(4, 3, size, size, generator=rng)
    labels = torch.eye(2).repeat_interleave(2, 0)
    s = SyntheticSet(images, labels, torch.tensor(0.0))
    method = IDC(convnet(2, 3, size, width=2), factor=1)
    for other in (method.decode(s), method.encode(s)):
        assert torch.equal(other.images, images)
        assert torch.equal(other.labels, labels)


@pytest.mark.parametrize(("factor", "size"), [(2, 8), (3, 9), (2, 16), (4, 16)])
def test_what_is_encoded_of_constant_images_is_decoded_as_it_was(factor: int, size: int) -> None:
    many = 2 * 3 * factor**2  # two classes of three mosaics
    values = torch.arange(float(many))
    images = values[:, None, None, None].expand(-1, 1, size, size).clone()
    labels = torch.eye(2).repeat_interleave(many // 2, 0)
    s = SyntheticSet(images, labels, torch.tensor(0.0))
    method = IDC(convnet(2, 1, size, width=2), factor=factor)
    stored = method.encode(s)
    assert stored.images.shape == (6, 1, size, size)
    assert stored.labels.argmax(1).tolist() == [0, 0, 0, 1, 1, 1]
    decoded = method.decode(stored)
    torch.testing.assert_close(decoded.images, images, rtol=1e-6, atol=0)
    assert torch.equal(decoded.labels, labels)


@pytest.mark.parametrize(("factor", "size"), [(2, 7), (3, 16), (3, 8)])
def test_sizes_that_are_no_multiple_of_the_factor_keep_their_shape(
    factor: int, size: int, started: Callable
) -> None:
    begun = started(torch.zeros(1, 1, size, size), ipc=factor**2)
    method = IDC(convnet(2, 1, size, width=2), factor=factor)
    stored = method.encode(begun)
    assert stored.images.shape == (2, 1, size, size)
    assert method.decode(stored).images.shape == begun.images.shape


def test_encoding_shares_no_memory_with_the_start(started: Callable) -> None:
    begun = started(torch.zeros(1, 1, 8, 8), ipc=1)
    stored = IDC(convnet(2, 1, 8, width=2), factor=1).encode(begun)
    before = begun.images.clone(), begun.labels.clone()
    stored.images.fill_(9)
    stored.labels.fill_(9)
    assert torch.equal(begun.images, before[0])
    assert torch.equal(begun.labels, before[1])


@pytest.mark.parametrize("fields", [{"factor": 0}, {"inner_steps": 0}, {"repeats": 0}])
def test_what_cannot_be_a_number_of_tiles_or_rounds_is_refused(fields: dict) -> None:
    (name,) = fields
    with pytest.raises(ValueError, match=f"{name} must be 1 or more, not 0"):
        IDC(convnet(2, 1, 8, width=2), **fields)


# Matching.


def literal(f: Network, theta: Weights, x: Tensor, y: Tensor, *, graph: bool) -> Weights:
    grads = torch.autograd.grad(
        cross_entropy(f(theta, x), y), list(theta.values()), create_graph=graph
    )
    return dict(zip(theta, grads, strict=True))


def test_no_real_image_is_asked_for_after_the_last_round(
    films: Callable, started: Callable, watched: Callable
) -> None:
    images, labels = films(1)
    f, seen = watched()
    s = started(images, ipc=2)
    method = IDC(f, inner_steps=2, net_steps=3)
    losses = list(method.losses(s, RealSet(images, labels, 2, seeded()), seeded()))
    # Of each class a film, and then its eight tiles; between the rounds a film of each together.
    matched, trained = [1, 1, 8, 8], [2] * 3
    assert [len(x) for x in seen] == matched + trained + matched
    assert len(losses) == 4


def test_real_and_synthetic_images_share_a_draw_without_cutout_in_training(
    films: Callable, started: Callable, watched: Callable
) -> None:
    images, labels = films(1, dtype=torch.double)
    f, seen = watched()
    s = started(images, ipc=1)
    method = IDC(f, inner_steps=2, net_steps=1, factor=1, augment=("brightness", "cutout"))
    list(method.losses(s, RealSet(images, labels, 2, seeded()), seeded()))
    real_0, real_1, ours_0, ours_1 = (x[0, 0] for x in seen[:4])
    amounts = []
    pairs = [(real_0, ours_0), (real_1, ours_1)]
    for label, pair in enumerate(pairs):
        hidden = pair[0] == 0
        assert torch.equal(hidden, pair[1] == 0)
        assert 16 <= hidden.sum() <= 64
        for got, film in zip(pair, (images[label, 0], s.images[label, 0]), strict=True):
            shifts = (got - film)[~hidden]
            amounts.append(shifts.mean().item())
            assert torch.allclose(shifts, shifts[0])
    assert amounts[0] == pytest.approx(amounts[1])
    assert amounts[2] == pytest.approx(amounts[3])
    assert amounts[0] != pytest.approx(amounts[2])
    assert len(seen[4]) == 2
    for label, trained in enumerate(seen[4]):
        shifts = trained[0] - images[label, 0]
        assert torch.allclose(shifts, shifts[0, 0])  # brighter all over, and nowhere cut out


def test_an_update_of_one_class_moves_the_others_by_their_momentum_alone(
    films: Callable, started: Callable
) -> None:
    images, labels = films(3, classes=3, dtype=torch.double)
    s = started(images, classes=3, ipc=1)
    s.images *= 0.1  # far from the limits of a screen
    method = IDC(convnet(3, 1, 16, width=4), lr_images=1e-3)
    before, moves = s.images.clone(), []
    for _ in distill(method, s, RealSet(images, labels, 3, seeded()), steps=4, rng=seeded()):
        after = s.images.detach().clone()
        moves.append(after - before)
        before = after
    assert moves[0][0].norm() > 0
    assert not moves[0][1:].any()
    assert moves[1][1].norm() > 0
    assert not moves[1][2].any()
    assert moves[2][2].norm() > 0
    for step, label in ((1, 0), (2, 0), (2, 1), (3, 1), (3, 2)):
        torch.testing.assert_close(
            moves[step][label], 0.5 * moves[step - 1][label], rtol=1e-6, atol=1e-12
        )
    assert not torch.allclose(moves[3][0], 0.5 * moves[2][0])  # its turn again


def test_a_network_without_convolutions_is_refused(films: Callable, started: Callable) -> None:
    images, labels = films(2)
    s = started(images)
    losses = IDC(mlp(2, 1, 16, width=4)).losses(s, RealSet(images, labels, 2, seeded()), seeded())
    with pytest.raises(ValueError, match="convolutions only, and this network has none"):
        next(losses)


@pytest.mark.parametrize("metric", ["mse", "l1"])
def test_an_answer_in_projected_gradients_serves_several_updates_of_each_class(
    films: Callable, started: Callable, metric: str
) -> None:
    images, labels = films(3, size=8, dtype=torch.double)
    f = convnet(2, 1, 8, width=3)
    s = started(images, ipc=2)
    s.images.requires_grad_()
    method = IDC(f, inner_steps=1, metric=metric, batch=3, augment=(), sketch=20, repeats=2)
    real = RealSet(images, labels, 2, seeded(1))
    replay, push = seeded(2), seeded(3)
    theta = {name: w.requires_grad_() for name, w in f.init(replay, like=images).items()}
    to = LayerSketch.drawn(theta, 20, replay, above=2).layers
    for number, loss in enumerate(method.losses(s, real, seeded(2))):
        c = number % 2
        target = literal(f, theta, images[labels == c], labels[labels == c], graph=False)
        shown = method.decode(s).images[8 * c : 8 * c + 8]
        ours = literal(f, theta, shown, torch.full((8,), c), graph=True)
        rows = [one((ours[n] - target[n]).flatten()[None]) for n, one in to.items()]
        apart = torch.cat(rows, 1)
        expected = (apart**2 if metric == "mse" else apart.abs()).sum()
        assert loss.item() == pytest.approx(expected.item(), rel=1e-7)
        (mine,), (theirs,) = (torch.autograd.grad(v, [s.images]) for v in (loss, expected))
        assert (mine - theirs).norm() <= 1e-6 * theirs.norm()
        # The caller steps S here.
        s.images.data += 0.1 * torch.randn(s.images.shape, generator=push, dtype=torch.double)
    assert number == 3
