"""Every operation beside a literal version of it, one pixel at a time."""

import math
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from medidd.architectures import convnet
from medidd.augment import OPERATIONS, RADIOGRAPH, Omega, draw

uniform = st.floats(0, 1, exclude_max=True)
every_operation = pytest.mark.parametrize("name", sorted(OPERATIONS))
GRID = [(u / 8, v / 8) for u in range(8) for v in range(8)] + [(0.999999, 0.999999)]


def films(n: int = 3, channels: int = 1, size: int = 12) -> Tensor:
    rng = torch.Generator().manual_seed(2)
    return torch.randn(n, channels, size, size, generator=rng, dtype=torch.double) + 1


def pixelwise(x: Tensor, value) -> Tensor:
    """A copy of x whose pixel (image, channel, row, column) is value(image, row, column)."""
    out = torch.empty_like(x)
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            for i in range(x.shape[2]):
                for j in range(x.shape[3]):
                    out[n, c, i, j] = value(x[n, c], x[n], i, j)
    return out


def bilinear(plane: Tensor, row: float, column: float) -> float:
    """The value between pixels, with zeros outside."""
    top, left = math.floor(row), math.floor(column)
    total = 0.0
    for i, near_i in ((top, 1 - (row - top)), (top + 1, row - top)):
        for j, near_j in ((left, 1 - (column - left)), (left + 1, column - left)):
            if 0 <= i < plane.shape[0] and 0 <= j < plane.shape[1]:
                total += near_i * near_j * float(plane[i, j])
    return total


def naive_crop(x: Tensor, u: float, v: float) -> Tensor:
    size = x.shape[2]
    reach = math.floor(0.125 * size + 0.5)
    shifts = list(range(-reach, reach + 1))
    down, right = shifts[int(u * len(shifts))], shifts[int(v * len(shifts))]

    def value(plane: Tensor, _: Tensor, i: int, j: int) -> float:
        inside = 0 <= i + down < size and 0 <= j + right < size
        return float(plane[i + down, j + right]) if inside else 0.0

    return pixelwise(x, value)


def naive_cutout(x: Tensor, u: float, v: float) -> Tensor:
    size = x.shape[2]
    row, column, half = int(u * size), int(v * size), size // 4

    def value(plane: Tensor, _: Tensor, i: int, j: int) -> float:
        hidden = -half <= i - row < half and -half <= j - column < half
        return 0.0 if hidden else float(plane[i, j])

    return pixelwise(x, value)


def naive_affine(x: Tensor, a: float, b: float, c: float, d: float) -> Tensor:
    """Each pixel comes from the point (a column + b row, c column + d row) about the centre."""
    centre = (x.shape[2] - 1) / 2

    def value(plane: Tensor, _: Tensor, i: int, j: int) -> float:
        row, column = i - centre, j - centre
        return bilinear(plane, c * column + d * row + centre, a * column + b * row + centre)

    return pixelwise(x, value)


def naive_scale(x: Tensor, u: float, v: float) -> Tensor:
    low, high = 1 / 1.2, 1.2
    return naive_affine(x, low + (high - low) * u, 0, 0, low + (high - low) * v)


def naive_rotate(x: Tensor, u: float, _: float) -> Tensor:
    angle = math.radians(30 * u - 15)
    return naive_affine(x, math.cos(angle), math.sin(angle), -math.sin(angle), math.cos(angle))


NAIVE = {
    "brightness": lambda x, u, _: pixelwise(x, lambda p, _, i, j: float(p[i, j]) + u - 0.5),
    "contrast": lambda x, u, _: pixelwise(
        x,
        lambda p, film, i, j: (
            (float(p[i, j]) - float(film.mean())) * (u + 0.5) + float(film.mean())
        ),
    ),
    "crop": naive_crop,
    "cutout": naive_cutout,
    "flip": lambda x, u, _: pixelwise(
        x, lambda p, _, i, j: p[i, p.shape[1] - 1 - j] if u < 0.5 else p[i, j]
    ),
    "identity": lambda x, _, __: x,
    "rotate": naive_rotate,
    "scale": naive_scale,
}


@every_operation
@pytest.mark.parametrize("channels", [1, 3])
def test_every_operation_is_its_literal_version(name: str, channels: int) -> None:
    x = films(1, channels)
    for u, v in GRID[:: 4 if channels == 3 else 2] + GRID[-1:]:
        # Cosine and sine of the angle are single precision.
        torch.testing.assert_close(
            Omega(name, (u, v))(x), NAIVE[name](x, u, v), rtol=1e-5, atol=1e-5
        )


@every_operation
@given(u=uniform, v=uniform)
def test_one_omega_does_the_same_to_every_batch(name: str, u: float, v: float) -> None:
    x = films(4)
    omega = Omega(name, (u, v))
    together, alone = omega(x), torch.cat([omega(one[None]) for one in x])
    torch.testing.assert_close(together, alone, rtol=1e-12, atol=1e-12)
    assert together.shape == x.shape


@every_operation
def test_the_mean_over_an_augmented_batch_is_the_mean_over_its_images(name: str) -> None:
    x = films(5, size=16)
    f = convnet(2, 1, 16, width=4)
    theta = f.init(torch.Generator().manual_seed(0), like=x)
    omega = Omega(name, (0.2, 0.7))
    singles = [f.embed(theta, omega(one[None])).mean(0) for one in x]
    torch.testing.assert_close(f.embed(theta, omega(x)).mean(0), torch.stack(singles).mean(0))


@every_operation
@pytest.mark.parametrize("u", [(0.1, 0.9), (0.6, 0.3)])
def test_every_operation_is_differentiable(name: str, u: tuple[float, float]) -> None:
    x = films(2, size=6).requires_grad_()
    assert torch.autograd.gradcheck(Omega(name, u), [x])


@every_operation
@pytest.mark.parametrize("size", [16, 17, 36])
def test_every_operation_keeps_shape_and_type_and_leaves_its_input_alone(
    name: str, size: int
) -> None:
    x = films(1, 3, size).float()
    before = x.clone()
    for u in GRID:
        out = Omega(name, u)(x)
        assert (out.shape, out.dtype) == (x.shape, x.dtype)
        assert out.isfinite().all()
    assert torch.equal(x, before)


@pytest.mark.parametrize(
    ("name", "u"),
    [
        ("brightness", 0.5),
        ("contrast", 0.5),
        ("crop", 0.5),
        ("flip", 0.5),
        ("rotate", 0.5),
        ("scale", (1 - 1 / 1.2) / (1.2 - 1 / 1.2)),
    ],
)
def test_operations_do_nothing_in_the_middle_of_their_range(name: str, u: float) -> None:
    x = films()
    torch.testing.assert_close(Omega(name, (u, u))(x), x, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("size", "reach"), [(16, 2), (12, 2), (36, 5)])
def test_crop_shifts_by_each_distance_equally_often(size: int, reach: int) -> None:
    x = torch.zeros(1, 1, size, size)
    x[0, 0, size // 2, size // 2] = 1
    many = 20 * (2 * reach + 1)
    shifts = Counter()
    for step in range(many):
        out = Omega("crop", ((step + 0.5) / many, 0.5))(x)
        row, column = out[0, 0].nonzero()[0].tolist()
        assert column == size // 2
        shifts[row - size // 2] += 1
    assert shifts == dict.fromkeys(range(-reach, reach + 1), 20)


def test_cutout_hides_a_quarter_of_the_film_or_what_of_it_lies_inside() -> None:
    x = torch.ones(1, 1, 16, 16)
    hidden = {u: int((Omega("cutout", u)(x) == 0).sum()) for u in GRID}
    assert hidden[0.5, 0.5] == 64
    assert hidden[0.0, 0.0] == 16
    assert max(hidden.values()) == 64
    assert min(hidden.values()) == 16


def test_a_marker_turns_by_15_degrees_at_most_either_way() -> None:
    x = torch.zeros(1, 1, 65, 65)
    x[0, 0, 32, 60] = 1  # to the right of the centre
    turned = {}
    for u in (0.0, 0.25, 0.75, 1.0):
        mass = Omega("rotate", (u, 0.5))(x)[0, 0]
        row, column = (
            (mass.sum(1 - axis) * torch.arange(65)).sum() / mass.sum() for axis in (0, 1)
        )
        turned[u] = math.degrees(math.atan2(row - 32, column - 32))
    sign = math.copysign(1, turned[1.0])
    expected = {0.0: -15 * sign, 0.25: -7.5 * sign, 0.75: 7.5 * sign, 1.0: 15 * sign}
    assert turned == pytest.approx(expected, abs=0.5)


def test_radiographs_are_neither_mirrored_nor_turned() -> None:
    assert not {"flip", "rotate"} & set(RADIOGRAPH)
    assert set(RADIOGRAPH) <= set(OPERATIONS)


def test_draw_follows_from_its_generator_and_leaves_torchs_own_alone() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()

    def drawn(seed: int) -> list[Omega]:
        rng = torch.Generator().manual_seed(seed)
        return [draw(rng) for _ in range(10)]

    first = drawn(0)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert drawn(0) == first
    assert drawn(1) != first
    assert len({omega.u for omega in first}) == 10


def test_draw_gives_every_operation_asked_for_equally_often(rng: torch.Generator) -> None:
    drawn = [draw(rng, ("crop", "flip", "scale")) for _ in range(3000)]
    counts = Counter(omega.name for omega in drawn)
    assert set(counts) == {"crop", "flip", "scale"}
    assert all(abs(count - 1000) < 5 * math.sqrt(3000 * 2 / 9) for count in counts.values())
    for axis in range(2):
        mean = sum(omega.u[axis] for omega in drawn) / 3000
        assert abs(mean - 0.5) < 5 / math.sqrt(12 * 3000)


def test_of_no_operations_the_identity_is_drawn(rng: torch.Generator) -> None:
    x = films()
    assert torch.equal(draw(rng, ())(x), x)
