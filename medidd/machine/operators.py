"""What the operators with derivatives of their own have in common."""

import inspect
from typing import Any

import torch


class Operator(torch.autograd.Function):
    """A function whose derivative is written by hand.

    torch looks up the parameters of ``forward`` at each call, which takes longer than a small
    image; here they are looked up once.
    """

    generate_vmap_rule = True

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:  # noqa: ARG004
        """Keeps the inputs, if an operator keeps nothing else."""
        ctx.save_for_backward(*inputs)

    @classmethod
    def of(cls, *inputs: Any) -> Any:
        """Returns the value; where no derivative will be asked for, without what that would take.

        For use in ``backward``, of which a derivative is seldom asked for.
        """
        return cls.apply(*inputs) if torch.is_grad_enabled() else cls.forward(*inputs)

    def __init_subclass__(cls, **named: Any) -> None:
        super().__init_subclass__(**named)
        cls.forward.__signature__ = inspect.signature(cls.forward)  # type: ignore[attr-defined]
