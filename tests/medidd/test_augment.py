"""Every operation beside a literal version of it, one pixel at a time."""

import math
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from medidd.architectures import convnet
from medidd.augment import (
    DIGIT,
    OPERATIONS,
    PHOTOGRAPH,
    RADIOGRAPH,
    Omega,
    draw,
    draw_each,
)

uniform = st.floats(0, 1, exclude_max=True)
every_operation = pytest.mark.parametrize("name", sorted(OPERATIONS))
GRID = [(u / 8, v / 8) for u in range(8) for v in range(8)] + [(0.999999, 0.999999)]


def omega(name: str, u: float, v: float, w: float = 0.3) -> Omega:
    """One operation for all images, with parameters that are said."""
    return Omega(name, torch.tensor([[u], [v], [w]], dtype=torch.double))


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
    side = math.floor(0.5 * size + 0.5)
    top, left = int(u * size) - side // 2, int(v * size) - side // 2

    def value(plane: Tensor, _: Tensor, i: int, j: int) -> float:
        hidden = top <= i < top + side and left <= j < left + side
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


def naive_brightness(x: Tensor, u: float) -> Tensor:
    return pixelwise(x, lambda plane, _, i, j: float(plane[i, j]) + u - 0.5)


def naive_saturation(x: Tensor, u: float) -> Tensor:
    def value(plane: Tensor, film: Tensor, i: int, j: int) -> float:
        gray = float(film[:, i, j].mean())
        return gray + 2 * u * (float(plane[i, j]) - gray)

    return pixelwise(x, value)


def naive_contrast(x: Tensor, u: float) -> Tensor:
    def value(plane: Tensor, film: Tensor, i: int, j: int) -> float:
        gray = float(film.mean())
        return gray + (u + 0.5) * (float(plane[i, j]) - gray)

    return pixelwise(x, value)


def naive_flip(x: Tensor, u: float) -> Tensor:
    return pixelwise(x, lambda p, _, i, j: p[i, p.shape[1] - 1 - j] if u < 0.5 else p[i, j])


NAIVE = {
    "brightness": lambda x, u, _, __: naive_brightness(x, u),
    "color": lambda x, u, v, w: naive_contrast(naive_saturation(naive_brightness(x, u), v), w),
    "contrast": lambda x, u, _, __: naive_contrast(x, u),
    "crop": lambda x, u, v, _: naive_crop(x, u, v),
    "cutout": lambda x, u, v, _: naive_cutout(x, u, v),
    "flip": lambda x, u, _, __: naive_flip(x, u),
    "identity": lambda x, _, __, ___: x,
    "rotate": lambda x, u, v, _: naive_rotate(x, u, v),
    "saturation": lambda x, u, _, __: naive_saturation(x, u),
    "scale": lambda x, u, v, _: naive_scale(x, u, v),
}


@every_operation
@pytest.mark.parametrize(("channels", "size"), [(1, 12), (3, 9)])
def test_every_operation_is_its_literal_version(name: str, channels: int, size: int) -> None:
    x = films(1, channels, size)
    for u, v in GRID[::4] + GRID[-1:]:
        torch.testing.assert_close(
            omega(name, u, v, 0.7)(x), NAIVE[name](x, u, v, 0.7), rtol=1e-12, atol=1e-12
        )


@every_operation
@given(u=uniform, v=uniform)
def test_one_omega_does_the_same_to_every_batch(name: str, u: float, v: float) -> None:
    x = films(4)
    drawn = omega(name, u, v)
    together, alone = drawn(x), torch.cat([drawn(one[None]) for one in x])
    torch.testing.assert_close(together, alone, rtol=1e-12, atol=1e-12)
    assert together.shape == x.shape


@every_operation
def test_the_mean_over_an_augmented_batch_is_the_mean_over_its_images(name: str) -> None:
    x = films(5, size=16)
    f = convnet(2, 1, 16, width=4)
    theta = f.init(torch.Generator().manual_seed(0), like=x)
    drawn = omega(name, 0.2, 0.7)
    singles = [f.embed(theta, drawn(one[None])).mean(0) for one in x]
    torch.testing.assert_close(f.embed(theta, drawn(x)).mean(0), torch.stack(singles).mean(0))


@every_operation
@pytest.mark.parametrize("channels", [1, 3])
def test_with_parameters_each_an_image_gets_its_own_and_no_other(name: str, channels: int) -> None:
    x = films(5, channels)
    u = torch.rand(3, 5, generator=torch.Generator().manual_seed(3))
    u[0] = torch.tensor([0.1, 0.6, 0.3, 0.9, 0.45])
    together = Omega(name, u)(x)
    for row in range(5):
        alone = Omega(name, u[:, row, None])(x[row, None])
        torch.testing.assert_close(together[row, None], alone, rtol=1e-12, atol=1e-12)
    shared = Omega(name, u[:, :1])(x)
    # Of a gray image there is nothing to saturate.
    idle = name == "identity" or (name == "saturation" and channels == 1)
    assert torch.allclose(together, shared) == idle


def test_a_gray_image_cannot_be_saturated() -> None:
    for u, v in GRID:
        x = films(2)
        torch.testing.assert_close(omega("saturation", u, v)(x), x, rtol=1e-15, atol=0)
        gray = x.expand(-1, 3, -1, -1)
        torch.testing.assert_close(omega("saturation", u, v)(gray), gray, rtol=1e-14, atol=1e-14)


def test_color_is_brightness_saturation_and_contrast_with_a_draw_each() -> None:
    x = films(3, 3)
    u = torch.rand(3, 3, generator=torch.Generator().manual_seed(3))
    names = ("brightness", "saturation", "contrast")
    step = x
    for row, name in enumerate(names):
        step = Omega(name, u[row : row + 1])(step)
    torch.testing.assert_close(Omega("color", u)(x), step, rtol=1e-12, atol=1e-12)


@every_operation
@pytest.mark.parametrize("size", [16, 28, 64, 256])
def test_the_greatest_draw_below_one_is_a_draw_like_any_other(name: str, size: int) -> None:
    greatest = torch.full((3, 2), 1 - 2**-24)
    x = films(2, 1, size).float()
    torch.testing.assert_close(
        Omega(name, greatest)(x), Omega(name, greatest - 1e-5)(x), rtol=1e-2, atol=1e-2
    )


@every_operation
@pytest.mark.parametrize("u", [(0.1, 0.9), (0.6, 0.3)])
def test_every_operation_is_differentiable(name: str, u: tuple[float, float]) -> None:
    x = films(2, 2, size=4).requires_grad_()
    assert torch.autograd.gradcheck(omega(name, *u), [x])


@every_operation
@pytest.mark.parametrize("size", [16, 17, 36])
def test_every_operation_keeps_shape_and_type_and_leaves_its_input_alone(
    name: str, size: int
) -> None:
    x = films(1, 3, size).float()
    before = x.clone()
    for u in GRID:
        out = omega(name, *u)(x)
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
        ("saturation", 0.5),
        ("color", 0.5),
        ("scale", (1 - 1 / 1.2) / (1.2 - 1 / 1.2)),
    ],
)
def test_operations_do_nothing_in_the_middle_of_their_range(name: str, u: float) -> None:
    x = films(channels=3)
    torch.testing.assert_close(omega(name, u, u, u)(x), x, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("size", "reach"), [(16, 2), (12, 2), (36, 5)])
def test_crop_shifts_by_each_distance_equally_often(size: int, reach: int) -> None:
    x = torch.zeros(1, 1, size, size)
    x[0, 0, size // 2, size // 2] = 1
    many = 20 * (2 * reach + 1)
    shifts = Counter()
    for step in range(many):
        out = omega("crop", (step + 0.5) / many, 0.5)(x)
        row, column = out[0, 0].nonzero()[0].tolist()
        assert column == size // 2
        shifts[row - size // 2] += 1
    assert shifts == dict.fromkeys(range(-reach, reach + 1), 20)


def test_cutout_hides_a_quarter_of_the_film_or_what_of_it_lies_inside() -> None:
    x = torch.ones(1, 1, 16, 16)
    hidden = {u: int((omega("cutout", *u)(x) == 0).sum()) for u in GRID}
    assert hidden[0.5, 0.5] == 64
    assert hidden[0.0, 0.0] == 16
    assert max(hidden.values()) == 64
    assert min(hidden.values()) == 16


def test_a_marker_turns_by_15_degrees_at_most_either_way() -> None:
    x = torch.zeros(1, 1, 65, 65)
    x[0, 0, 32, 60] = 1  # to the right of the centre
    turned = {}
    for u in (0.0, 0.25, 0.75, 1.0):
        mass = omega("rotate", u, 0.5)(x)[0, 0]
        row, column = (
            (mass.sum(1 - axis) * torch.arange(65)).sum() / mass.sum() for axis in (0, 1)
        )
        turned[u] = math.degrees(math.atan2(row - 32, column - 32))
    sign = math.copysign(1, turned[1.0])
    expected = {0.0: -15 * sign, 0.25: -7.5 * sign, 0.75: 7.5 * sign, 1.0: 15 * sign}
    assert turned == pytest.approx(expected, abs=0.5)


def test_scale_stretches_across_by_its_first_draw_and_down_by_its_second() -> None:
    x = torch.zeros(1, 1, 65, 65)
    x[0, 0, 32, 12:53] = 1  # a line across the centre, 41 px long
    unstretched = (1 - 1 / 1.2) / (1.2 - 1 / 1.2)
    wide = omega("scale", 0.0, unstretched)(x)[0, 0].sum(0)
    tall = omega("scale", unstretched, 0.0)(x)[0, 0].sum(0)
    assert (wide > 0.5).sum() == 49  # 41 px by 1.2, and the centre stays
    assert (tall > 0.5).sum() == 41


def test_radiographs_are_neither_mirrored_nor_turned() -> None:
    assert not {"flip", "rotate"} & set(RADIOGRAPH)
    assert "flip" in PHOTOGRAPH
    assert "flip" not in DIGIT
    assert {*RADIOGRAPH, *PHOTOGRAPH, *DIGIT} <= set(OPERATIONS)


def test_draw_follows_from_its_generator_and_leaves_torchs_own_alone() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()

    def drawn(seed: int) -> list[tuple]:
        rng = torch.Generator().manual_seed(seed)
        return [(one.name, *one.u.flatten().tolist()) for one in (draw(rng) for _ in range(10))]

    first = drawn(0)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert drawn(0) == first
    assert drawn(1) != first
    assert len(set(first)) == 10


@pytest.mark.parametrize("images", [1, 4])
def test_draw_has_three_draws_for_each_of_so_many_images(images: int, rng: torch.Generator) -> None:
    assert draw(rng, ("crop",), images=images).u.shape == (3, images)
    assert len(draw(rng, ("crop",), images=images).u.unique()) == 3 * images


def test_draw_gives_every_operation_asked_for_equally_often(rng: torch.Generator) -> None:
    drawn = [draw(rng, ("crop", "flip", "scale")) for _ in range(3000)]
    counts = Counter(one.name for one in drawn)
    assert set(counts) == {"crop", "flip", "scale"}
    assert all(abs(count - 1000) < 5 * math.sqrt(3000 * 2 / 9) for count in counts.values())
    for axis in range(3):
        mean = sum(float(one.u[axis]) for one in drawn) / 3000
        assert abs(mean - 0.5) < 5 / math.sqrt(12 * 3000)


@pytest.mark.parametrize("images", [1, 3])
def test_draw_each_applies_every_operation_in_order_with_its_own_draws(
    images: int, rng: torch.Generator
) -> None:
    names = ("color", "crop", "cutout")
    chain = draw_each(rng, names, images=images)
    assert tuple(one.name for one in chain.omegas) == names
    assert len(torch.cat([one.u for one in chain.omegas]).unique()) == 9 * images
    x = films(3)
    expected = x
    for one in chain.omegas:
        expected = one(expected)
    assert torch.equal(chain(x), expected)
    assert not torch.equal(chain(x), x)


def test_of_no_operations_the_identity_is_drawn(rng: torch.Generator) -> None:
    x = films()
    assert torch.equal(draw(rng, ())(x), x)
    assert torch.equal(draw_each(rng, ())(x), x)
