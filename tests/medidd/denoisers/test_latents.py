"""Blocks of pixels lose nothing, and noise stays noise when its pixels are moved."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from medidd.data import NORMALIZATION
from medidd.denoisers.latents import RANGE, Blocks, noise_of


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@given(
    count=st.integers(1, 3),
    channels=st.integers(1, 3),
    places=st.integers(1, 5),
    block=st.integers(1, 4),
)
def test_blocks_come_back_exactly(count: int, channels: int, places: int, block: int) -> None:
    latents = Blocks(channels, places * block, block)
    images = drawn(count, channels, places * block, places * block)
    encoded = latents.encode({}, images)
    assert encoded.shape[1:] == latents.shape == (channels * block**2, places, places)
    assert torch.equal(latents.decode({}, encoded), images)


def test_a_place_holds_the_pixels_of_its_block() -> None:
    images = torch.arange(16.0).reshape(1, 1, 4, 4)
    encoded = Blocks(1, 4, 2).encode({}, images) * RANGE
    assert encoded[0, :, 0, 1].tolist() == [2, 3, 6, 7]
    assert encoded[0, :, 1, 0].tolist() == [8, 9, 12, 13]


def test_what_a_screen_can_show_lies_between_minus_one_and_one() -> None:
    latents = Blocks(1, 4, 2)
    assert latents.bounded
    for limit, side in zip(NORMALIZATION.limits(torch.empty(0)), (-1, 1), strict=True):
        images = torch.full((1, 1, 4, 4), float(limit))
        assert torch.equal(latents.encode({}, images), torch.full((1, 4, 2, 2), float(side)))


@given(channels=st.integers(1, 3), places=st.integers(1, 4), block=st.integers(1, 4))
def test_noise_for_blocks_is_the_same_pixels_moved(channels: int, places: int, block: int) -> None:
    noise = drawn(2, channels, places * block, places * block)
    shape = Blocks(channels, places * block, block).shape
    latents = noise_of(noise, shape)
    assert latents.shape == (2, *shape)
    for one, image in zip(latents, noise, strict=True):
        assert torch.equal(one.flatten().sort()[0], image.flatten().sort()[0])


def test_noise_for_fewer_numbers_takes_each_pixel_once_at_most() -> None:
    noise = torch.arange(64.0).reshape(1, 1, 8, 8)
    latents = noise_of(noise, (3, 4, 4)).flatten()
    assert len(latents.unique()) == len(latents) == 48


@pytest.mark.parametrize("shape", [(5, 4, 4), (1, 16, 16), (2, 8, 8), (3, 4, 2), (1, 3, 3)])
def test_too_few_pixels_are_refused(shape: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match=r"noise of shape \(1, 8, 8\) is not enough for \("):
        noise_of(drawn(1, 1, 8, 8), shape)
