"""The authors' values on films: tiny ones, in a few steps, for few images and for many."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from medidd.architectures import convnet
from medidd.data import RealSet, SyntheticSet
from medidd.distill import Decodes, Method, Prepares, by_ipc, distill, learned
from medidd.experts.trajectories import Experts, Trajectories
from medidd.features import LowFrequencies
from medidd.fields import fields, make
from medidd.kernels import FCKernel
from medidd.methods import METHODS

F = convnet(2, 1, 16, width=8)

SHORTER = {
    "net_epochs": 2,
    "net_steps": 2,
    "networks": 2,
    "online": 4,
    "pool": 2,
    "last_start": 1,
    "batch": 20,
}
"""Fields that decide how long a step takes, and that no rate depends on."""


@pytest.fixture
def by_the_paper(films: Callable, tmp_path: Path) -> Callable[[str, int], Method]:
    """Makes a method with the authors' values for so many images per class."""

    def experts() -> Trajectories:
        images, labels = films(20, noise=1.0)
        # As medidd experts makes them, but for their number and their length.
        how = Experts(F, count=1, epochs=3)
        list(how.make(tmp_path, lambda _, rng: RealSet(images, labels, 2, rng), {}))
        return Trajectories(tmp_path, F, {})

    makers: dict[str, Callable[[], Any]] = {
        "network": lambda: F,
        "experts": experts,
        "kernel": FCKernel,
        "features": lambda: LowFrequencies(30),
    }

    def built(name: str, ipc: int) -> Method:
        kind = METHODS[name]
        taken = {of: makers[of]() for of in fields(kind) if of in makers}
        values = dict(by_ipc(kind.paper, ipc))
        shorter = {of: value for of, value in SHORTER.items() if of in fields(kind)}
        method: Method = make(kind, {**taken, **values, **shorter})
        return method

    return built


@pytest.mark.parametrize("ipc", [1, 10, 50])
@pytest.mark.parametrize("name", METHODS)
def test_s_keeps_moving_and_the_loss_falls(
    name: str, ipc: int, films: Callable, started: Callable, by_the_paper: Callable
) -> None:
    images, labels = films(20, noise=1.0)
    method = by_the_paper(name, ipc)
    shown = method.shown if isinstance(method, Decodes) else 1
    s: SyntheticSet = started(images, ipc=ipc * shown)
    s = method.encode(s) if isinstance(method, Decodes) else s
    s = method.prepare(s) if isinstance(method, Prepares) else s
    optimizer = method.optimizer(s)

    def errors() -> float:
        """The losses of the first draws of a few generators, which are the same for every S."""
        of: list[Tensor] = []
        for seed in range(2):
            rng = torch.Generator().manual_seed(seed)
            of.append(next(method.losses(s, RealSet(images, labels, 2, rng), rng)).detach())
        return float(torch.stack(of).sum())

    begun, was, steps = errors(), s.images.detach().clone(), []
    rng = torch.Generator().manual_seed(9)
    real = RealSet(images, labels, 2, rng)
    for _ in distill(method, s, real, steps=min(method.steps, 6), rng=rng, optimizer=optimizer):
        steps.append(float((s.images.detach() - was).norm()))
        was = s.images.detach().clone()
    for tensor in learned(optimizer):
        assert tensor.isfinite().all()
    if len(steps) > 1:
        assert steps[-1] > 0.01 * steps[0] > 0
    assert errors() < begun
