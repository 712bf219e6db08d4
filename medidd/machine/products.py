"""Products of one small matrix with a large one for each image, and their derivatives."""

from typing import Any

import torch
from torch import Tensor

from medidd.machine.operators import Operator


def product(weight: Tensor, columns: Tensor) -> Tensor:
    """Returns weight (W, K) times the columns (n, K, P) of each image, (n, W, P)."""
    found: Tensor = _Product.apply(weight, columns)
    return found


class _Product(Operator):
    @staticmethod
    def forward(weight: Tensor, columns: Tensor) -> Tensor:
        n = columns.shape[0]  # len would fix the number of images where a network is exported
        return torch.bmm(weight.expand(n, -1, -1), columns)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        weight, columns = ctx.saved_tensors
        return (
            _Summed.of(grads[0], columns) if ctx.needs_input_grad[0] else None,
            _Product.of(weight.T, grads[0]) if ctx.needs_input_grad[1] else None,
        )


class _Summed(Operator):
    """Products (W, K) of (n, W, P) and (n, K, P) along P, added up over images."""

    @staticmethod
    def forward(rows: Tensor, columns: Tensor) -> Tensor:
        # Not rows times columns: with the few columns first, MKL takes two thirds of the time.
        return torch.bmm(columns, rows.transpose(1, 2)).sum(0).T

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        rows, columns = ctx.saved_tensors
        return (
            _Product.of(grads[0], columns) if ctx.needs_input_grad[0] else None,
            _Product.of(grads[0].T, rows) if ctx.needs_input_grad[1] else None,
        )
