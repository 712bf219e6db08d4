"""The layers beside torch's own, with their first and second derivatives."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from medidd.machine.layers import Convolution, FewChannelConvolution, HalvedReLU, InstanceNorm

Layer = Callable[[], nn.Module]


def halved() -> nn.Module:
    return nn.Sequential(nn.ReLU(), nn.AvgPool2d(2))


PAIRS: dict[str, tuple[Layer, Layer, tuple[int, ...]]] = {
    "one channel": (
        lambda: FewChannelConvolution(1, 4),
        lambda: nn.Conv2d(1, 4, 3, padding=1),
        (2, 1, 6, 5),
    ),
    "three channels": (
        lambda: FewChannelConvolution(3, 2),
        lambda: nn.Conv2d(3, 2, 3, padding=1),
        (3, 3, 4, 7),
    ),
    "many channels": (
        lambda: Convolution(5, 3),
        lambda: nn.Conv2d(5, 3, 3, padding=1),
        (2, 5, 4, 6),
    ),
    "norm": (lambda: InstanceNorm(3), lambda: nn.GroupNorm(3, 3), (2, 3, 4, 5)),
    "norm of one image": (lambda: InstanceNorm(2), lambda: nn.GroupNorm(2, 2), (1, 2, 3, 3)),
    "halving": (HalvedReLU, halved, (2, 3, 6, 4)),
    "halving odd sides": (HalvedReLU, halved, (2, 1, 7, 5)),
    "halving to one pixel": (HalvedReLU, halved, (1, 2, 2, 3)),
}
every_pair = pytest.mark.parametrize(("ours", "theirs", "shape"), PAIRS.values(), ids=PAIRS)


def derivatives(layer: nn.Module, x: Tensor, dtype: torch.dtype) -> list[Tensor]:
    """Values, gradients, and the gradients of a function of gradients."""
    rng = torch.Generator().manual_seed(1)

    def drawn(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=rng, dtype=torch.float64).to(dtype)

    for weight in layer.parameters():
        weight.data = drawn(weight)
    x = x.to(dtype).requires_grad_()
    inputs = [x, *layer.parameters()]
    y = layer(x)
    # A square, so that the second derivative is there for linear layers, too.
    first = torch.autograd.grad((y.square() * drawn(y)).sum(), inputs, create_graph=True)
    along = torch.stack([(grad * drawn(grad)).sum() for grad in first]).sum()
    return [y, *first, *torch.autograd.grad(along, inputs)]


@every_pair
@pytest.mark.parametrize(("dtype", "within"), [(torch.float64, 1e-12), (torch.float32, 2e-5)])
def test_values_and_both_derivatives_are_those_of_torch(
    ours: Layer, theirs: Layer, shape: tuple[int, ...], dtype: torch.dtype, within: float
) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    pairs = zip(derivatives(ours(), x, dtype), derivatives(theirs(), x, dtype), strict=True)
    for found, right in pairs:
        assert found.shape == right.shape
        assert (found - right).abs().max() <= within * right.abs().max()


@every_pair
def test_second_derivatives_are_those_of_small_differences(
    ours: Layer, theirs: Layer, shape: tuple[int, ...]
) -> None:
    del theirs
    layer = ours().double()
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x.requires_grad_()
    assert torch.autograd.gradcheck(layer, x)
    assert torch.autograd.gradgradcheck(layer, x)


@every_pair
def test_gradients_of_single_images_can_be_batched(
    ours: Layer, theirs: Layer, shape: tuple[int, ...]
) -> None:
    layer, plain = ours().double(), theirs().double()
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def each(module: nn.Module) -> dict[str, Tensor]:
        def loss(theta: dict[str, Tensor], image: Tensor) -> Tensor:
            value: Tensor = torch.func.functional_call(module, theta, (image[None],))
            return value.square().sum()

        theta = {"none": x.new_zeros(1)} | dict(module.named_parameters())
        theta = {name: weight.detach() for name, weight in theta.items()}
        if not list(module.parameters()):
            return {"x": torch.func.vmap(torch.func.grad(loss, argnums=1), (None, 0))({}, x)}
        del theta["none"]
        return torch.func.vmap(torch.func.grad(loss), (None, 0))(theta, x)

    right = each(plain)
    for name, found in each(layer).items():
        torch.testing.assert_close(found, right[name])
