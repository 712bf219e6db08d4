"""FRePo: Dataset Distillation using Neural Feature Regression.

Zhou, Nezhadarya & Ba, NeurIPS 2022, Algorithm 1, arXiv:2206.00719.

Learns: images, and labels if asked.
Costs: each step takes the features of `batch` real images per class, no gradient of them, and one
training step on S.

The loss is that of RFAD, but its networks are trained: a pool holds networks that have taken from 0
to `online` steps on S. Each step draws one of the pool, regresses on its features, moves S, and
then takes one training step of this network on the new S. A network that has taken `online` steps
makes room for a fresh one. So the features are those of training on S, and nothing is unrolled.

From the authors: the pool of 10 with ages spread from the beginning, Adam for its networks, squared
error on centred labels, learning rates along a cosine. Ours: all that RFAD (medidd/methods/rfad.py)
has of ours; Adam for S, not LAMB; a new pool after every `online` updates, where a run can be
resumed; younger networks; no margin between learned labels.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from medidd.data import Source, SyntheticSet
from medidd.distill import Preset
from medidd.kernels import centered
from medidd.methods.rfad import JUDGES, RFAD
from medidd.network import Network, Weights


@dataclass(frozen=True)
class FRePo:
    """Neural feature regression with a pool of networks.

    Attributes:
        rfad: the regression and its fields.
        pool: networks in the pool.
        online: training steps after which a network leaves the pool; 0 trains none, and makes every
            step that of RFAD.
        lr_net: step size of Adam for the networks.
    """

    paper: ClassVar[Preset] = {
        1: {
            "steps": 500_000,
            "lr_images": 3e-4,
            "lr_labels": 3e-4,
            "constraint": "none",
            "batch": 512,
            "augment": (),
            "online": 100,
        }
    }
    private: ClassVar[Mapping[str, Any]] = RFAD.private
    classifies_by: ClassVar[str] = "regression on random features"

    rfad: RFAD
    pool: int = 10
    online: int = 30
    lr_net: float = 3e-4

    @property
    def steps(self) -> int:
        """Updates of S."""
        return self.rfad.steps

    def releases(self, classes: int) -> int:
        """Returns the calls of ``means`` in a run: one for each update."""
        return self.rfad.releases(classes)

    def optimizer(self, synthetic: SyntheticSet) -> torch.optim.Optimizer:
        """Returns Adam over the images, and over the labels if they are learned."""
        return self.rfad.optimizer(synthetic)

    def losses(
        self, synthetic: SyntheticSet, real: Source, rng: torch.Generator
    ) -> Iterator[Tensor]:
        """Yields the error of regression on the features of one network of the pool."""
        pool = [self._fresh(synthetic, rng) for _ in range(self.pool)]
        for number, member in enumerate(pool):
            member.train(synthetic, number * self.online // self.pool)
        for _ in range(max(self.online, 1)):
            drawn = int(torch.randint(self.pool, (), generator=rng))
            yield self.rfad.loss([pool[drawn].theta], synthetic, real, rng)  # S is stepped here
            if pool[drawn].age >= self.online:
                pool[drawn] = self._fresh(synthetic, rng)
            else:
                pool[drawn].train(synthetic, 1)

    def _fresh(self, synthetic: SyntheticSet, rng: torch.Generator) -> "Member":
        network = self.rfad.network
        return Member(network, network.init(rng, like=synthetic.images), self.lr_net)

    def classifier(
        self, synthetic: SyntheticSet, rng: torch.Generator
    ) -> Callable[[Tensor], Tensor]:
        """Returns the regression on the features of ``JUDGES`` networks of all ages."""
        judges = [self._fresh(synthetic, rng) for _ in range(JUDGES)]
        for number, judge in enumerate(judges):
            judge.train(synthetic, number * self.online // JUDGES)
        return self.rfad.on_features([judge.theta for judge in judges], synthetic)


class Member:
    """A network of the pool.

    Args:
        network: its architecture.
        theta: its fresh weights.
        lr: step size of Adam.
    """

    def __init__(self, network: Network, theta: Weights, lr: float) -> None:
        self.theta = {name: weight.requires_grad_() for name, weight in theta.items()}
        self.age = 0
        self._network = network
        self._adam = torch.optim.Adam(self.theta.values(), lr=lr)

    def train(self, synthetic: SyntheticSet, steps: int) -> None:
        """Takes so many steps on the whole of S, on squared error."""
        x, y = synthetic.images.detach(), centered(synthetic.labels.detach())
        for _ in range(steps):
            self._adam.zero_grad()
            loss = (self._network(self.theta, x) - y).square().mean() / 2
            loss.backward()  # type: ignore[no-untyped-call]
            self._adam.step()
        self.age += steps
