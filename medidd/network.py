"""Networks as in the papers: f(theta, x), an architecture without weights."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.func import functional_call

Weights = dict[str, Tensor]


class Network(Protocol):
    """An architecture whose weights are always an argument."""

    def init(self, rng: torch.Generator, like: Tensor | None = None) -> Weights:
        """Draws fresh weights, theta_0 ~ P.

        Args:
            rng: the only source of randomness; torch's global generator does not change.
            like: a tensor whose device and dtype the weights take.
        """

    def __call__(self, theta: Weights, x: Tensor) -> Tensor:
        """Returns logits (n, K) for images (n, C, H, W)."""

    def embed(self, theta: Weights, x: Tensor) -> Tensor:
        """Returns psi(x), the features before the classifier, (n, D)."""


@dataclass(frozen=True)
class Architecture:
    """One architecture; see ``Network``.

    Attributes:
        make: builds the module. It must have exactly two children, ``features`` (images to
            vectors) and ``classifier`` (vectors to logits), no weights that are used in two places,
            and no buffers, because running statistics would make one image's value depend on
            another's.
    """

    make: Callable[[], nn.Module]
    _module: nn.Module = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        with torch.random.fork_rng(devices=[]):
            module = self.make()
        if next(module.buffers(), None) is not None:
            raise ValueError("the network has running statistics; use group or instance norm")
        named = list(module.named_parameters(remove_duplicate=False))
        if len({id(weight) for _, weight in named}) < len(named):
            raise ValueError("the network uses some of its weights in two places")
        object.__setattr__(self, "_module", module)

    def init(self, rng: torch.Generator, like: Tensor | None = None) -> Weights:
        """Draws fresh weights by the module's own initialisers."""
        seed = int(torch.randint(2**62, (), generator=rng))
        with torch.random.fork_rng(devices=[]):
            # torch's own initialisers take no generator, hence the fork. torch.manual_seed would
            # also seed the devices' generators, and nothing restores those.
            torch.default_generator.manual_seed(seed)
            module = self.make()
        theta = {name: weight.detach() for name, weight in module.named_parameters()}
        return theta if like is None else {name: w.to(like) for name, w in theta.items()}

    def __call__(self, theta: Weights, x: Tensor) -> Tensor:
        """Returns logits (n, K) for images (n, C, H, W)."""
        logits: Tensor = self.call(theta, x)
        return logits

    def call(self, theta: Weights, *inputs: Any, **named: Any) -> Any:
        """Returns what the module makes of other inputs than images alone.

        Args:
            theta: weights.
            inputs: of the module.
            named: more inputs, by name.
        """
        return functional_call(self._module, theta, inputs, named, tie_weights=False)

    def embed(self, theta: Weights, x: Tensor) -> Tensor:
        """Returns psi(x), the features before the classifier, (n, D)."""
        prefix = "features."
        features = {n.removeprefix(prefix): w for n, w in theta.items() if n.startswith(prefix)}
        vectors: Tensor = functional_call(
            self._module.get_submodule("features"), features, (x,), tie_weights=False
        )
        return vectors


@dataclass(frozen=True)
class Several:
    """Several architectures as one: whenever weights are drawn, one of them is drawn first.

    S that is learned with them serves all of them. Weights carry the number of their architecture
    in their names.

    Attributes:
        networks: the architectures.
    """

    networks: tuple[Network, ...]

    def init(self, rng: torch.Generator, like: Tensor | None = None) -> Weights:
        """Draws an architecture, each with equal probability, and fresh weights for it."""
        which = int(torch.randint(len(self.networks), (), generator=rng))
        theta = self.networks[which].init(rng, like)
        return {f"{which}.{name}": weight for name, weight in theta.items()}

    def __call__(self, theta: Weights, x: Tensor) -> Tensor:
        """Returns logits (n, K) for images (n, C, H, W)."""
        network, own = self._of(theta)
        return network(own, x)

    def embed(self, theta: Weights, x: Tensor) -> Tensor:
        """Returns the features before the classifier, (n, D); D depends on the architecture."""
        network, own = self._of(theta)
        return network.embed(own, x)

    def _of(self, theta: Weights) -> tuple[Network, Weights]:
        which = next(iter(theta)).split(".")[0]
        own = {name.removeprefix(f"{which}."): weight for name, weight in theta.items()}
        return self.networks[int(which)], own
