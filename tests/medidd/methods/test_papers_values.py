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
    "inner_steps": 10,
    "memory": 4,
}
"""No more of what a step takes its time with."""


@pytest.fixture
def by_the_paper(films: Callable, tmp_path: Path, fresh: Callable) -> Callable[[str, int], Method]:
    """Makes a method with the authors' values for so many images per class."""

    def experts() -> Trajectories:
        images, labels = films(20, noise=1.0)
        # Short ones: a student that begins with the authors' step size goes as far.
        how = Experts(F, count=1, epochs=3, epoch_steps=5)
        list(how.make(tmp_path, lambda _, rng: RealSet(images, labels, 2, rng), {}))
        return Trajectories(tmp_path, F, {})

    makers: dict[str, Callable[[], Any]] = {
        "network": lambda: F,
        "experts": experts,
        "kernel": FCKernel,
        "features": lambda: LowFrequencies(30),
        "denoiser": lambda: fresh(2, 1, 16),
    }

    def built(name: str, ipc: int) -> Method:
        kind = METHODS[name]
        taken = {of: makers[of]() for of in fields(kind) if of in makers}
        values = dict(by_ipc(kind.paper, ipc))
        for of, most in SHORTER.items():
            if of in fields(kind):
                values[of] = min(values.get(of, most), most)
        method: Method = make(kind, {**taken, **values})
        return method

    return built


@pytest.mark.parametrize("ipc", [1, 10, 50])
@pytest.mark.parametrize("name", METHODS)
def test_the_loss_falls_and_can_fall_further(
    name: str, ipc: int, films: Callable, started: Callable, by_the_paper: Callable
) -> None:
    images, labels = films(20, noise=1.0)
    method = by_the_paper(name, ipc)
    shown = method.shown if isinstance(method, Decodes) else 1
    s: SyntheticSet = started(images, ipc=ipc * shown)
    s = method.encode(s) if isinstance(method, Decodes) else s
    s = method.prepare(s) if isinstance(method, Prepares) else s
    optimizer = method.optimizer(s)
    held = [tensor.requires_grad_() for tensor in learned(optimizer)]

    def errors() -> tuple[float, float]:
        """The losses of the first draws of two generators, and how steep they are along ``held``.

        The draws are the same for every S.
        """
        of: list[Tensor] = []
        for seed in range(2):
            rng = torch.Generator().manual_seed(seed)
            of.append(next(method.losses(s, RealSet(images, labels, 2, rng), rng)))
        total = torch.stack(of).sum()
        slopes = torch.autograd.grad(total, held)
        return total.item(), float(torch.cat([slope.flatten() for slope in slopes]).norm())

    (begun, steep), rng = errors(), torch.Generator().manual_seed(9)
    real, steps = RealSet(images, labels, 2, rng), min(method.steps, 6)
    list(distill(method, s, real, steps=steps, rng=rng, optimizer=optimizer))
    ended, still_steep = errors()
    assert all(tensor.isfinite().all() for tensor in held)
    assert ended < begun
    # Unless one step is all there is, S is on its way.
    assert steps == 1 or still_steep > 0.01 * steep > 0
