"""IDC: Dataset Condensation via Efficient Synthetic-Data Parameterization.

Kim et al., ICML 2022, Algorithm 1, arXiv:2205.14959.

Learns: mosaics, each of which unfolds into ``factor`` ** 2 released images.
Costs: each round over the classes takes the gradient of ``batch`` real images of each class. Each
round but the first also takes ``net_steps`` gradients of ``batch`` real images of all classes.

Radiographs are smooth, so pixels are better spent on more images than on finer ones: each stored
image is a mosaic whose tiles, enlarged, are the images released. Gradients are matched class by
class, on networks trained on real images, since one trained on S soon has nothing left to learn.

From the authors' code, where it differs from the text: classes are updated one after another, only
the weights of convolutions are compared, and by the sum of squares for photographs ("mse") or of
absolute values ("l1"). Ours: no CutMix, which mixes two patients' films and so has no mean over
single ones, and for the same reason one augmentation for a whole batch where the network is
trained, which is not trained after the last round; images are kept within the display range;
learning rates are in standardised units, so that the authors' become 16 times as large.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from medidd.augment import Augmentation, Operations, draw_each
from medidd.data import Question, Source, SyntheticSet
from medidd.descent import gradient, leaves
from medidd.distill import Preset
from medidd.methods.dd import real_loss
from medidd.network import Network, Weights
from medidd.project import sgd_on_images
from medidd.sketch import LayerSketch

MOMENTUM, DECAY = 0.9, 5e-4
"""Of the networks trained on real images."""

METRICS: dict[str, Callable[[Tensor], Tensor]] = {"l1": torch.abs, "mse": torch.square}
"""What is summed over the differences of gradients."""


def _paper(ipc: int) -> dict[str, object]:
    photographs = {"metric": "mse", "lr_images": 16 * 5e-3 * ipc / 10, "net_steps": 32}
    return {"steps": 2_000_000, "inner_steps": 100, "factor": 2, **photographs}


@dataclass(frozen=True)
class IDC:
    """Multi-formation and gradient matching on real networks.

    Attributes:
        network: phi_theta, the network whose gradients are matched.
        steps: updates of S in all, each of one class.
        factor: n, tiles along each side of a stored image.
        inner_steps: T, rounds over the classes along the path of one network.
        net_steps: updates of the network on real images between two rounds.
        metric: of the difference between gradients, "l1" or "mse".
        lr_images: eta_S, learning rate of the stored images.
        lr_net: eta_theta, learning rate of the network.
        batch: |B_c^T|, real images per class and step, as many for the network over all classes.
        augment: operations that are all applied, in this order, alike to real and synthetic images;
            cutout is left out where the network is trained.
        sketch: dimensions of a public projection of the gradient, drawn afresh for each answer; 0
            compares all weights of convolutions.
        repeats: updates of each class for each answer of T.
    """

    paper: ClassVar[Preset] = {ipc: _paper(ipc) for ipc in (1, 10, 50)}
    private: ClassVar[Mapping[str, Any]] = {
        "steps": 100,
        "inner_steps": 1,
        "sketch": 512,
        "repeats": 2,
        "lr_images": 2.0,
    }

    network: Network
    steps: int = 400
    factor: int = 2
    inner_steps: int = 20
    net_steps: int = 8
    metric: Literal["l1", "mse"] = "mse"
    lr_images: float = 0.02
    lr_net: float = 0.01
    batch: int = 64
    augment: Operations = ("color", "crop", "cutout")
    sketch: int = 0
    repeats: int = 1

    def __post_init__(self) -> None:
        for name in ("factor", "inner_steps", "repeats"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more, not {getattr(self, name)}")

    @property
    def shown(self) -> int:
        """Released images per stored one."""
        return self.factor**2

    def releases(self, classes: int) -> int:
        """Returns the calls of ``means`` in a run: one for each round and each training step.

        The last path may end in any round.
        """
        of_round = classes * self.repeats
        paths, left = divmod(self.steps, self.inner_steps * of_round)
        last = -(-left // of_round)
        trainings = paths * (self.inner_steps - 1) + max(last - 1, 0)
        return paths * self.inner_steps + last + trainings * self.net_steps

    def optimizer(self, synthetic: SyntheticSet) -> torch.optim.Optimizer:
        """Returns SGD over the stored images alone; labels stay hard."""
        return sgd_on_images(synthetic, self.lr_images)

    def losses(
        self, synthetic: SyntheticSet, real: Source, rng: torch.Generator
    ) -> Iterator[Tensor]:
        """Yields the distance between gradients of one class after another."""
        f = self.network
        theta = f.init(rng, like=synthetic.images)
        sgd = torch.optim.SGD(theta.values(), lr=self.lr_net, momentum=MOMENTUM, weight_decay=DECAY)
        for t in range(self.inner_steps):
            for _ in range(self.net_steps if t else 0):
                self._train(theta, sgd, real, rng)
            yield from self._round(theta, synthetic, real, rng)

    def _round(
        self, theta: Weights, synthetic: SyntheticSet, real: Source, rng: torch.Generator
    ) -> Iterator[Tensor]:
        """Asks about all classes, and yields the distance of one class after another."""
        compared = self._compared(theta, rng)
        omegas = [draw_each(rng, self.augment) for _ in range(real.classes)]

        def of(omega: Augmentation, x: Tensor, y: Tensor) -> Weights:
            return compared(gradient(self.network, theta, omega(x), y))

        # Of T alone: that S moves from class to class changes no question.
        questions = [Question(partial(of, omega), (c,)) for c, omega in enumerate(omegas)]
        targets = real.means(questions, size=self.batch)
        for _ in range(self.repeats):
            for label, (omega, target) in enumerate(zip(omegas, targets, strict=True)):
                stored, labels = synthetic.of_class(label)
                shown = omega(unfolded(stored, self.factor, synthetic))
                y = labels.repeat_interleave(self.shown, 0)
                ours = compared(gradient(self.network, leaves(theta), shown, y, create_graph=True))
                measure = METRICS[self.metric]
                yield torch.stack([measure(ours[n] - target[n]).sum() for n in ours]).sum()

    def _compared(self, theta: Weights, rng: torch.Generator) -> Callable[[Weights], Weights]:
        """Returns what takes from a gradient that which is compared."""
        convolutions = [name for name, weight in theta.items() if weight.ndim > 2]
        if not convolutions:
            raise ValueError("idc compares convolutions only, and this network has none")
        if self.sketch:
            return LayerSketch.drawn(theta, self.sketch, rng, above=2)
        return lambda found: {name: found[name] for name in convolutions}

    def _train(
        self, theta: Weights, sgd: torch.optim.Optimizer, real: Source, rng: torch.Generator
    ) -> None:
        """Takes one step of SGD on real images of all classes."""
        omega = draw_each(rng, tuple(name for name in self.augment if name != "cutout"))
        per_class = max(self.batch // real.classes, 1)
        _, step = real_loss(self.network, theta, real, per_class, omega)
        for name, weight in theta.items():
            weight.grad = step[name]
        sgd.step()

    def encode(self, synthetic: SyntheticSet) -> SyntheticSet:
        """Returns S with mosaics of ``shown`` images each, taken from neighbouring rows."""
        images = folded(synthetic.images, self.factor)
        return replace(synthetic, images=images, labels=synthetic.labels[:: self.shown].clone())

    def decode(self, synthetic: SyntheticSet) -> SyntheticSet:
        """Returns S as it is released: every tile an image of its own."""
        images = unfolded(synthetic.images, self.factor, synthetic)
        labels = synthetic.labels.repeat_interleave(self.shown, 0)
        return replace(synthetic, images=images, labels=labels)


def unfolded(images: Tensor, factor: int, synthetic: SyntheticSet) -> Tensor:
    """Returns the enlarged tiles (n * factor^2, C, H, W) of mosaics (n, C, H, W).

    Where the size is no multiple of ``factor``, mid gray is added below and on the right.
    """
    n, channels, height, width = images.shape
    rim = [0, -width % factor, 0, -height % factor]
    gray = synthetic.normalization.standardize(images.new_full((1, channels, 1, 1), 0.5))
    whole = pad(images - gray, rim) + gray
    high, wide = whole.shape[2] // factor, whole.shape[3] // factor
    tiles = whole.reshape(n, channels, factor, high, factor, wide).permute(0, 2, 4, 1, 3, 5)
    flat = tiles.reshape(n * factor**2, channels, high, wide)
    return interpolate(flat, size=(height, width), mode="bilinear", align_corners=False)


def folded(images: Tensor, factor: int) -> Tensor:
    """Returns mosaics (n / factor^2, C, H, W) of images (n, C, H, W), each reduced to a tile."""
    n, channels, height, width = images.shape
    high, wide = -(-height // factor), -(-width // factor)
    tiles = interpolate(images, size=(high, wide), mode="nearest")
    grid = tiles.reshape(n // factor**2, factor, factor, channels, high, wide)
    mosaics = grid.permute(0, 3, 1, 4, 2, 5).reshape(-1, channels, factor * high, factor * wide)
    return mosaics[:, :, :height, :width].contiguous()
