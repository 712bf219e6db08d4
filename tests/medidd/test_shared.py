"""Two processes that share T answer and learn as one does."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from together import CPU, two_processes
from torch import Tensor

from medidd.architectures import convnet
from medidd.data import Question, RealSet, Source, SyntheticSet, balanced
from medidd.distill import distill
from medidd.machine.ranks import Ranks
from medidd.methods.dc import DC
from medidd.methods.dd import DD
from medidd.methods.dm import DM
from medidd.shared import Shared

COUNTS = (7, 5, 1)
"""Films of each class: none can be split in two halves."""

Both = Callable[..., list[Any]]


@pytest.fixture(scope="module")
def both() -> Iterator[Both]:
    with two_processes() as work:
        yield work


def real_set(counts: tuple[int, ...] = COUNTS, chunk: int | None = None) -> RealSet:
    rng = torch.Generator().manual_seed(5)
    labels = torch.cat([torch.full((n,), label) for label, n in enumerate(counts)])
    images = torch.randn(len(labels), 1, 16, 16, generator=rng)
    return RealSet(images, labels, len(counts), rng, chunk)


def single(x: Tensor, y: Tensor) -> dict[str, Any]:
    """Means of both kinds of numbers, in every kind of container."""
    pixels = x.flatten(1)
    return {
        "moments": (pixels.mean(0), pixels.double().square().mean(0)),
        "parts": [(y[:, :, None] * pixels[:, None]).mean(0), pixels.mean()],
    }


def answers(real: Source, size: int) -> list[Any]:
    several = [Question(single, (label,)) for label in range(real.classes)]
    everybody = Question(single, tuple(range(real.classes)))
    return [*real.means([*several, everybody], size=size), balanced(real, single, size=size)]


def answered(ranks: Ranks, size: int, chunk: int | None) -> list[Any]:
    with ranks.together(CPU):
        return answers(Shared(real_set(chunk=chunk), ranks), size)


@pytest.mark.parametrize(
    ("size", "chunk"), [(1, None), (3, None), (4, 3), (sys.maxsize, None), (sys.maxsize, 2)]
)
def test_both_get_the_answers_of_one_process(
    both: Both, tmp_path: Path, size: int, chunk: int | None
) -> None:
    first, second = both(tmp_path, answered, size, chunk)
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    torch.testing.assert_close(first, answers(real_set(), size), rtol=0, atol=1e-6)


def start() -> SyntheticSet:
    rng = torch.Generator().manual_seed(6)
    labels = torch.eye(3).repeat_interleave(2, 0)
    return SyntheticSet(torch.randn(6, 1, 16, 16, generator=rng), labels, torch.tensor(0.1).log())


def learned(ranks: Ranks, name: str) -> tuple[dict[str, Tensor], list[float]]:
    f = convnet(3, 1, 16, width=4)
    method = {
        "dc": DC(f, inner_steps=2, net_epochs=1, batch=5),
        "dd": DD(f, epochs=2, batch=5),
        "dm": DM(f, batch=5),
    }[name]
    s, real, rng = start(), real_set((11, 6, 3)), torch.Generator().manual_seed(7)
    with ranks.together(CPU):
        source = real if ranks.count == 1 else Shared(real, ranks)
        losses = list(distill(method, s, source, steps=4, rng=rng))
    return {name: tensor.detach() for name, tensor in s.tensors().items()}, losses


@pytest.mark.parametrize("name", ["dc", "dd", "dm"])
def test_both_learn_the_set_of_one_process(both: Both, tmp_path: Path, name: str) -> None:
    (first, seen), (second, _) = both(tmp_path, learned, name)
    alone, losses = learned(Ranks(), name)
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    torch.testing.assert_close(first, alone, rtol=0, atol=1e-6)
    torch.testing.assert_close(seen, losses, rtol=1e-5, atol=0)
    assert (alone["images"] - start().images).abs().max() > 1e-2
