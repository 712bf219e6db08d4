"""Convolutions of 3 x 3 pixels whose second derivative is as fast as their first.

A convolution is linear in the images and in the filters, and so are its gradients, each of which is
one of three products. torch makes the second derivative with respect to filters a convolution by
filters as large as an image, which takes twice as long as the product that it is.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from medidd.machine.operators import Operator


def convolved(images: Tensor, filters: Tensor, bias: Tensor | None) -> Tensor:
    """Returns images (n, C, H, W) under filters (D, C, 3, 3), padded with zeros, (n, D, H, W).

    Args:
        images: n of them.
        filters: D of them.
        bias: (D,), added to the results.
    """
    found: Tensor = _Convolved.apply(images, filters, bias)
    return found


class _Convolved(Operator):
    @staticmethod
    def forward(images: Tensor, filters: Tensor, bias: Tensor | None) -> Tensor:
        return conv2d(images, filters, bias, padding=1)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        images, filters, _ = ctx.saved_tensors
        if not torch.is_grad_enabled():
            return _backward(grads[0], images, filters, ctx.needs_input_grad)
        of_images, of_filters, of_bias = ctx.needs_input_grad
        return (
            _ByImages.of(grads[0], filters) if of_images else None,
            _ByFilters.of(grads[0], images) if of_filters else None,
            grads[0].sum((0, 2, 3)) if of_bias else None,
        )


class _ByImages(Operator):
    """The gradient with respect to images, given that with respect to the results."""

    @staticmethod
    def forward(g: Tensor, filters: Tensor) -> Tensor:
        images = g.new_empty(g.shape[0], filters.shape[1], *g.shape[2:])
        return _backward(g, images, filters, (True, False, False))[0]

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        g, filters = ctx.saved_tensors
        of_g, of_filters = ctx.needs_input_grad
        return (
            _Convolved.of(grads[0], filters, None) if of_g else None,
            _ByFilters.of(g, grads[0]) if of_filters else None,
        )


class _ByFilters(Operator):
    """The gradient with respect to filters, given that with respect to the results."""

    @staticmethod
    def forward(g: Tensor, images: Tensor) -> Tensor:
        filters = g.new_empty(g.shape[1], images.shape[1], 3, 3)
        return _backward(g, images, filters, (False, True, False))[1]

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        g, images = ctx.saved_tensors
        of_g, of_images = ctx.needs_input_grad
        return (
            _Convolved.of(images, grads[0], None) if of_g else None,
            _ByImages.of(g, grads[0]) if of_images else None,
        )


def _backward(
    g: Tensor, images: Tensor, filters: Tensor, wanted: tuple[bool, bool, bool]
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the gradients of images, filters and bias; None for what is not wanted."""
    one, biases = [1, 1], [len(filters)]
    return torch.ops.aten.convolution_backward(  # type: ignore[no-any-return]
        g, images, filters, biases, one, one, one, False, [0, 0], 1, list(wanted)
    )
