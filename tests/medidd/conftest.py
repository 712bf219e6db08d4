"""Toy films that a tiny network can tell apart."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import HealthCheck, settings
from torch import Tensor

# On a busy machine an example may take any time.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

Films = tuple[Tensor, Tensor]


@pytest.fixture
def films() -> Callable[..., Films]:
    """Makes films of ``classes`` templates under noise, and their labels."""

    def make(
        per_class: int,
        *,
        classes: int = 2,
        channels: int = 1,
        size: int = 16,
        noise: float = 0.5,
        seed: int = 1,
        dtype: torch.dtype = torch.float32,
    ) -> Films:
        # The templates are one thing, the draw of the films another.
        shapes = torch.Generator().manual_seed(7)
        templates = torch.randn(classes, channels, size // 4, size // 4, generator=shapes)
        templates = templates.repeat_interleave(4, 2).repeat_interleave(4, 3)
        labels = torch.arange(classes).repeat_interleave(per_class)
        rng = torch.Generator().manual_seed(seed)
        grain = torch.randn(len(labels), channels, size, size, generator=rng)
        return (templates[labels] + noise * grain).clamp(-2, 2).to(dtype), labels

    return make
