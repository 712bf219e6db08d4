"""Denoisers as they are made unless told otherwise."""

import pytest
import torch

from medidd.denoisers.diffusion import GROUPS
from medidd.denoisers.presets import PRESETS, usual
from medidd.denoisers.shapes import SHAPES, SIZES, Shape
from medidd.denoisers.trained import Configuration, Trained
from medidd.denoisers.training import Training

every_preset = pytest.mark.parametrize("preset", PRESETS)


@every_preset
@pytest.mark.parametrize("size", SIZES)
def test_every_preset_has_a_shape_for_each_size(preset: str, size: int) -> None:
    how = usual(preset, size, seed=3)
    assert how.seed == 3
    assert how.shape == SHAPES[preset][size]
    assert size % how.shape.least == 0
    assert how.shape.attention <= len(how.shape.filters)
    # A group of one channel would forget the moment and the label.
    assert all(n % GROUPS == 0 and n > GROUPS for n in how.shape.filters)
    assert all(n % GROUPS == 0 for n in how.shape.encoder)


@pytest.mark.parametrize("size", SIZES)
def test_the_smaller_preset_draws_images_of_its_size(size: int) -> None:
    one = Trained(None, usual("cpu", size), 2, 1, size, {})
    noise = torch.randn(1, 1, size, size, generator=torch.Generator().manual_seed(0))
    drawn = one.denoiser.sample(one.theta, noise, torch.tensor([1]), guidance=2.0, steps=1)
    assert drawn.shape == (1, 1, size, size)
    assert drawn.isfinite().all()


@every_preset
def test_another_size_takes_the_shape_of_the_next_larger_one(preset: str) -> None:
    assert usual(preset, 48).shape == SHAPES[preset][64]
    assert usual(preset, 16).shape == SHAPES[preset][32]


def test_what_cannot_be_drawn_is_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match="unknown preset 'tpu'; there are cpu, gpu"):
        usual("tpu", 32)
    with pytest.raises(ValueError, match="images of at most 224 px, not 256"):
        usual("cpu", 256)
    with pytest.raises(ValueError, match="images of a multiple of 16 px, not 56"):
        usual("cpu", 56)


@pytest.mark.parametrize(
    ("shape", "least"),
    [
        (Shape((16,)), 1),
        (Shape((16, 16), block=3), 6),
        (Shape((16, 16, 16), block=4), 16),
        (Shape((16, 16), encoder=(8, 8, 8)), 8),
    ],
)
def test_the_least_size_is_halved_between_resolutions(shape: Shape, least: int) -> None:
    assert shape.least == least


@every_preset
@pytest.mark.parametrize("size", SIZES)
def test_a_configuration_comes_back_from_what_is_written_of_it(preset: str, size: int) -> None:
    how = usual(preset, size)
    again = Configuration.from_json(how.to_json())
    assert again == how
    assert again.sha256 == how.sha256
    assert usual(preset, size, seed=1).sha256 != how.sha256


def test_an_autoencoder_and_its_training_come_together() -> None:
    coder, plain = Shape((16,), encoder=(8, 8)), Shape((16,))
    for shape, encoding in ((coder, None), (plain, Training(1))):
        with pytest.raises(ValueError, match="an autoencoder needs a training, and a training"):
            Configuration(shape, Training(1), encoding)
