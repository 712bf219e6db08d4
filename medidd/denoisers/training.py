"""How a denoiser is trained on T, before a method draws S from it.

It asks T for the mean gradient of the denoising loss over a batch and nothing else, so that on a
private source the same lines are DP-SGD: each patient's gradient is clipped, the sum gets noise,
and all that follows is post-processing (Abadi et al., CCS 2016, arXiv:1607.00133; for diffusion
models Dockhorn, Cao, Vahdat & Kreis, TMLR 2023, arXiv:2210.09929).

Weights are averaged over the last updates (Ho et al., 2020), and S is drawn from the average.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from medidd.data import Question, Source
from medidd.denoisers.denoiser import Denoiser
from medidd.descent import leaves
from medidd.network import Weights

WARM = 50
"""Updates in which the step size grows to its full value."""

LEAST = 0.1
"""Share of the step size that is left after the last update; it falls evenly until then."""


@dataclass(frozen=True)
class Training:
    """How weights are trained.

    Attributes:
        steps: updates.
        batch: real images per update.
        lr: step size of Adam, when it is largest.
        kept: share of the average of the weights that an update leaves as it is; less at first.
        hidden: chance that an image's label is hidden.
        longest: norm to which a gradient is cut.
    """

    steps: int
    batch: int = 64
    lr: float = 2e-3
    kept: float = 0.999
    hidden: float = 0.1
    longest: float = 1.0

    def __post_init__(self) -> None:
        if min(self.steps, self.batch) < 1:
            raise ValueError("steps and batch must be 1 or more")
        if not self.lr > 0:
            raise ValueError(f"the step size lr must be above 0, not {self.lr}")
        if not 0 <= self.hidden < 1:
            raise ValueError(f"hidden must be from 0 to below 1, not {self.hidden}")

    def rate(self, step: int) -> float:
        """Returns the step size of an update, counted from 0."""
        fallen = 1 - (1 - LEAST) * step / self.steps
        return self.lr * fallen * min(1.0, (step + 1) / WARM)


@dataclass
class State:
    """A training between two updates.

    Attributes:
        theta: the weights, changed in place.
        average: their average, changed in place.
        optimizer: Adam over ``theta``.
        rng: draws all that is random.
        step: updates so far.
    """

    theta: Weights
    average: Weights
    optimizer: torch.optim.Optimizer
    rng: torch.Generator
    step: int = 0

    @classmethod
    def begun(cls, theta: Weights, how: Training, rng: torch.Generator) -> "State":
        """Returns the state before the first update of weights."""
        theta = leaves({name: weight.clone() for name, weight in theta.items()})
        average = {name: weight.detach().clone() for name, weight in theta.items()}
        adam = torch.optim.AdamW(list(theta.values()), lr=how.lr, weight_decay=0.0)
        return cls(theta, average, adam, rng)

    def update(self, gradient: Weights, how: Training) -> None:
        """Takes one step down a gradient."""
        for name, weight in self.theta.items():
            weight.grad = gradient[name]
        torch.nn.utils.clip_grad_norm_(self.theta.values(), how.longest)
        for group in self.optimizer.param_groups:
            group["lr"] = how.rate(self.step)
        self.optimizer.step()
        self.step += 1
        kept = min(how.kept, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, average in self.average.items():
                average.lerp_(self.theta[name], 1 - kept)


Losses = Callable[[Weights, torch.Generator], Iterator[tuple[Tensor, Weights]]]
"""Takes weights and a generator; gives loss and gradient on one batch after another."""


def trained(state: State, how: Training, losses: Losses) -> Iterator[float]:
    """Trains from a state to the last update, and yields the loss after each.

    Raises:
        FloatingPointError: a loss is not finite.
    """
    steps = losses(state.theta, state.rng)
    while state.step < how.steps:
        loss, gradient = next(steps)
        if not loss.isfinite():
            raise FloatingPointError(
                f"the denoiser's loss is not finite after step {state.step}; lower lr"
            )
        state.update(gradient, how)
        yield float(loss)


def denoising(denoiser: Denoiser, fixed: Weights, real: Source, how: Training) -> Losses:
    """Returns the denoising losses on T, L_diff, as ``trained`` takes them.

    Every update asks T once, for one loss and one gradient.

    Args:
        denoiser: what is trained.
        fixed: weights that make latents.
        real: T.
        how: the training.
    """

    def losses(theta: Weights, rng: torch.Generator) -> Iterator[tuple[Tensor, Weights]]:
        everybody = tuple(range(real.classes))
        while True:
            table = denoiser.table(how.batch, rng, like=theta, hidden=how.hidden)
            seen = partial(denoiser.gradient, fixed | theta, table)
            yield real.means([Question(seen, everybody)], size=how.batch)[0]

    return losses
