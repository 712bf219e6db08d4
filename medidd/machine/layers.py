"""Three layers of the ConvNet that torch's CPU kernels compute slowly, by other arithmetic.

A convolution of one channel is limited by memory, and on some processors torch's gradient with
respect to its weights takes 4 times as long as reading its inputs. The average of 2 x 2 pixels
takes 4 times as long as the norm before it. The second derivative of a norm is made of some twenty
passes over the images; here they are seven. The values are those of ``Conv2d``, ``GroupNorm`` and
``AvgPool2d`` after ``ReLU``, but for rounding, and so are first and second derivatives. On a GPU
torch's own kernels are used.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, pad, relu

from medidd.machine.convolutions import convolved
from medidd.machine.operators import Operator
from medidd.machine.precision import narrow
from medidd.machine.products import product

FEW = 3
"""Input channels up to which a convolution is limited by memory, not by arithmetic."""


class Convolution(nn.Conv2d):
    """A convolution of 3 x 3 pixels, padded with zeros, in the precision of this process.

    Args:
        channels: C of the images.
        filters: channels of the output.
    """

    def __init__(self, channels: int, filters: int) -> None:
        super().__init__(channels, filters, 3, padding=1)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - its name in Conv2d
        """Returns (n, filters, H, W) for images (n, C, H, W)."""
        dtype = narrow() or input.dtype
        bias = None if self.bias is None else self.bias.to(dtype)
        images, filters = input.to(dtype), self.weight.to(dtype)
        if input.is_cuda or not torch.is_grad_enabled():
            found: Tensor = self._conv_forward(images, filters, bias)
            return found.to(input.dtype)
        return convolved(images, filters, bias).to(input.dtype)


class FewChannelConvolution(Convolution):
    """A convolution of 3 x 3 pixels, padded with zeros, of images with few channels.

    Args:
        channels: C of the images.
        filters: channels of the output.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - its name in Conv2d
        """Returns (n, filters, H, W) for images (n, C, H, W)."""
        if input.is_cuda:
            return super().forward(input)
        if not torch.is_grad_enabled() or self.bias is None:
            # Without a gradient it is the faster one.
            found: Tensor = self._conv_forward(input, self.weight, self.bias)
            return found
        n, _, height, width = input.shape
        weight = torch.cat([self.weight.flatten(1), self.bias[:, None]], 1)
        return product(weight, _under(input)).view(n, -1, height, width)


def convolution(channels: int, filters: int) -> nn.Module:
    """Returns a convolution of 3 x 3 pixels, padded with zeros, as fast as its channels allow."""
    if channels <= FEW:
        return FewChannelConvolution(channels, filters)
    return Convolution(channels, filters)


class InstanceNorm(nn.GroupNorm):
    """Each channel of each image to mean 0 and variance 1, then a scale and a shift per channel.

    Args:
        channels: of the images.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - its name in GroupNorm
        """Returns images of the same shape (n, C, H, W)."""
        if input.is_cuda:
            return super().forward(input)
        normed: Tensor = _Norm.apply(input, self.weight, self.bias, self.eps)[0]
        return normed


class HalvedReLU(nn.Module):
    """The average over 2 x 2 pixels of what is above 0; an odd last row or column is left out."""

    def forward(self, images: Tensor) -> Tensor:
        """Returns (n, C, H // 2, W // 2) for images (n, C, H, W)."""
        if images.is_cuda:
            return avg_pool2d(relu(images), 2)
        height, width = (side - side % 2 for side in images.shape[2:])
        halved: Tensor = _HalvedReLU.apply(images[:, :, :height, :width])
        return halved


def _under(images: Tensor) -> Tensor:
    """Returns the 9 C values under the filters at each pixel, and a one, (n, 9 C + 1, H W)."""
    n, channels, height, width = images.shape
    around = pad(images, [1] * 4).unfold(2, 3, 1).unfold(3, 3, 1)
    values = around.permute(0, 1, 4, 5, 2, 3).reshape(n, 9 * channels, height * width)
    return pad(values, (0, 0, 0, 1), value=1.0)


def _pairs(x: Tensor) -> Tensor:
    """Returns images with their rows in pairs, (n, C, H / 2, 2, W)."""
    n, channels, height, width = x.shape
    return x.reshape(n, channels, height // 2, 2, width)


def _average(above: Tensor, below: Tensor) -> Tensor:
    """Returns the averages of 2 x 2 pixels, given the rows of each pair; changes ``above``."""
    rows = above.add_(below)
    return (rows[..., ::2] + rows[..., 1::2]).mul_(0.25)


def _above(g: Tensor, x: Tensor) -> Tensor:
    """Returns g where x is above 0, else 0."""
    kept: Tensor = torch.ops.aten.threshold_backward(g, x, 0)
    return kept


class _HalvedReLU(Operator):
    @staticmethod
    def forward(x: Tensor) -> Tensor:
        # Half by half, because what is half as large stays in the processor's caches.
        above, below = _pairs(x).unbind(3)
        return _average(above.relu(), below.relu())

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Tensor:
        spread: Tensor = _SpreadAbove.of(grads[0], *ctx.saved_tensors)
        return spread


class _SpreadAbove(Operator):
    """A quarter of each value to those of its 2 x 2 pixels that are above 0."""

    @staticmethod
    def forward(g: Tensor, x: Tensor) -> Tensor:
        twice = (g * 0.25)[..., None].expand(-1, -1, -1, -1, 2).flatten(3)
        row, pairs = twice[:, :, :, None], _pairs(x)
        return _above(row.expand_as(pairs), pairs).view(x.shape)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:  # noqa: ARG004
        ctx.save_for_backward(inputs[1])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor, None]:
        return _average(*_pairs(_above(grads[0], *ctx.saved_tensors)).unbind(3)), None


class _Norm(Operator):
    """Instance norm; its outputs are the images, and the mean and 1 / deviation of each (n, C)."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, ...]:
        n, channels, height, width = x.shape
        return torch.native_group_norm(
            x.contiguous(), weight, bias, n, channels, height * width, channels, eps
        )

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.mark_non_differentiable(*output[1:])
        ctx.save_for_backward(*inputs[:2], *output[1:])

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        return (*_NormGradient.of(grads[0], *ctx.saved_tensors), None)


class _NormGradient(Operator):
    """The gradients of instance norm with respect to images, scale and shift."""

    @staticmethod
    def forward(g: Tensor, x: Tensor, weight: Tensor, mean: Tensor, r: Tensor) -> Any:
        n, channels, height, width = x.shape
        return torch.ops.aten.native_group_norm_backward(
            *(g.contiguous(), x.contiguous(), mean, r, weight),
            *(n, channels, height * width, channels, [True, True, True]),
        )

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        """Pulls cotangents u of the images' gradient, and of scale and shift, back.

        With h = (x - mean) r the normed image, w the scale and means over pixels,

            gradient = w r (g - mean(g) - h mean(g h))

        is linear in g. Its own gradient with respect to g has the same form, and that with respect
        to x follows from dh/dx = r (1 - mean - h mean(h .)) and dr/dx = -r^2 h / pixels. Both are
        sums of g, u and x with factors per channel.
        """
        g, x, weight, mean, r = ctx.saved_tensors
        u, to_scale, to_shift = grads
        channels, pixels = x.shape[1], x[0, 0].numel()
        flat = [part.flatten(2) for part in (g, u, x)]
        mean, r = mean.view(-1, channels), r.view(-1, channels)
        w, v = weight, to_scale
        mean_g, mean_u = (part.mean(2) for part in flat[:2])
        gh = (_dot(flat[0], flat[2]) / pixels - mean_g * mean) * r
        uh = (_dot(flat[1], flat[2]) / pixels - mean_u * mean) * r
        left = _dot(flat[0], flat[1]) / pixels - mean_g * mean_u - gh * uh
        k = v - w * r * uh
        by_g = _sum([(w * r, u), (k * r, x)], to_shift - w * r * mean_u - k * r * mean)
        of_q = v * mean_g - w * r * (gh * mean_u + uh * mean_g)
        along = r * (v * gh - 2 * w * r * gh * uh) + w * r * r * left
        by_x = _sum(
            [(k * r, g), (-w * r * r * gh, u), (-along * r, x)], along * r * mean - r * of_q
        )
        return by_g, by_x, (pixels * r * left).sum(0), None, None


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Returns the sums over pixels of products (n, C) of two images (n, C, pixels)."""
    # A product of matrices is five times as slow on some processors, for each has a single row.
    dot: Tensor = torch.linalg.vecdot(a, b)
    return dot


def _sum(parts: list[tuple[Tensor, Tensor]], constant: Tensor) -> Tensor:
    """Returns the sum of images (n, C, H, W) with factors (n, C), and of a constant (n, C)."""
    (factor, image), *others = parts
    total = image * factor[:, :, None, None]
    for factor, image in others:
        total.addcmul_(image, factor[:, :, None, None])
    return total.add_(constant[:, :, None, None])
