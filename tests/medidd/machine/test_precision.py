"""In what precision the ConvNet convolves: a little is lost, and only where it was asked for."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from medidd.architectures import convnet
from medidd.machine.layers import Convolution
from medidd.machine.precision import PRECISIONS, convolve_in, narrow


@pytest.fixture(autouse=True)
def whole() -> Iterator[None]:
    was = torch.backends.cudnn.allow_tf32
    yield
    convolve_in("float32")
    torch.backends.cudnn.allow_tf32 = was


def second_derivative(images: Tensor, theta: dict[str, Tensor]) -> tuple[Tensor, ...]:
    """Returns the logits of images, and how the length of a gradient changes with them."""
    theta = {name: value.requires_grad_() for name, value in theta.items()}
    images.requires_grad_()
    logits = convnet(2, 1, 16, width=8)(theta, images)
    loss = logits.square().mean()
    first = torch.autograd.grad(loss, list(theta.values()), create_graph=True)
    return logits, *torch.autograd.grad(sum(g.square().sum() for g in first), images)


def test_bfloat16_keeps_seven_digits_and_its_derivatives(rng: torch.Generator) -> None:
    theta, images = convnet(2, 1, 16, width=8).init(rng), torch.randn(4, 1, 16, 16, generator=rng)
    exact = second_derivative(images, theta)
    convolve_in("bfloat16")
    for found, expected in zip(second_derivative(images, theta), exact, strict=True):
        assert found.dtype == torch.float32
        error = (found - expected).norm() / expected.norm()
        assert 1e-4 < error < 2e-1
    convolve_in("float32")
    assert all(map(torch.equal, second_derivative(images, theta), exact))


def test_weights_are_those_of_a_convolution(rng: torch.Generator) -> None:
    layer = Convolution(8, 4)
    convolve_in("bfloat16")
    layer(torch.randn(2, 8, 6, 6, generator=rng)).sum().backward()
    assert layer.weight.dtype == layer.weight.grad.dtype == torch.float32


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_gpu_convolves_in_tf32_only_if_that_was_asked_for(precision: str) -> None:
    convolve_in(precision)
    assert torch.backends.cudnn.allow_tf32 == (precision == "tf32")
    assert (narrow() is torch.bfloat16) == (precision == "bfloat16")


def test_another_precision_is_refused_and_changes_nothing() -> None:
    convolve_in("bfloat16")
    with pytest.raises(ValueError, match="float32, tf32, bfloat16, not half"):
        convolve_in("half")
    assert narrow() is torch.bfloat16
