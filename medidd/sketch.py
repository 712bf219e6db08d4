"""Public random projections, by which a long gradient is compared in few dimensions.

The CountSketch of Charikar, Chen & Farach-Colton, ICALP 2002; Weinberger et al., ICML 2009,
arXiv:0902.2206, show that inner products keep their expectation.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from medidd.network import Weights


@dataclass(frozen=True)
class Sketch:
    """A random projection: it adds up entries, each with a random sign.

    Attributes:
        place: where each entry is added, (entries,).
        sign: its sign, (entries,).
        dimensions: number of places.
    """

    place: Tensor
    sign: Tensor
    dimensions: int

    @classmethod
    def drawn(
        cls, entries: int, dimensions: int, rng: torch.Generator, device: torch.device
    ) -> "Sketch":
        """Draws one."""
        place = torch.randint(dimensions, (entries,), generator=rng)
        sign = 2.0 * torch.randint(2, (entries,), generator=rng) - 1
        return cls(place.to(device), sign.to(device), dimensions)

    def __call__(self, rows: Tensor) -> Tensor:
        """Returns rows (n, entries) projected, (n, dimensions)."""
        empty = rows.new_zeros(len(rows), self.dimensions)
        return empty.index_add(1, self.place, rows * self.sign.to(rows))


@dataclass(frozen=True)
class LayerSketch:
    """A projection for each layer of a network.

    Every layer has the same number of dimensions, because DC compares layer by layer.

    Attributes:
        layers: the projections by the names of the weights.
    """

    layers: Mapping[str, Sketch]

    @classmethod
    def drawn(
        cls, theta: Weights, dimensions: int, rng: torch.Generator, *, above: int = 1
    ) -> "LayerSketch":
        """Draws one.

        Args:
            theta: weights of the network.
            dimensions: of all layers together.
            rng: the generator of the run.
            above: weights of so many dimensions or fewer are left out.

        Raises:
            ValueError: there are fewer dimensions than layers, or no layers.
        """
        names = [name for name, weight in theta.items() if weight.ndim > above]
        if not 0 < len(names) <= dimensions:
            raise ValueError(
                f"a sketch of {dimensions} dimensions is too small for {len(names)} "
                "layers; give it one or more for each"
            )
        shares = [dimensions // len(names)] * len(names)
        shares[-1] += dimensions - sum(shares)
        return cls(
            {
                name: Sketch.drawn(theta[name].numel(), share, rng, theta[name].device)
                for name, share in zip(names, shares, strict=True)
            }
        )

    def __call__(self, gradient: Weights) -> Weights:
        """Returns one row (1, dimensions of the layer) for each layer of a gradient."""
        return {name: to(gradient[name].reshape(1, -1)) for name, to in self.layers.items()}
