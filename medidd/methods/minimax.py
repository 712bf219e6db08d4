"""Minimax diffusion: Efficient Dataset Distillation via Minimax Diffusion.

Gu, Vahidian, Kungurtsev, Wang, Jiang, You & Chen, CVPR 2024, arXiv:2311.15529.

Learns: the weights of a denoiser, from which images are drawn.
Costs: once before, the training of the denoiser. Then a step takes one training step of it. Cost
hardly grows with the number of images, and with their size as that of the denoiser does.

A diffusion model draws typical images, and many alike. So it is trained on with two more terms.
Each predicted image z^ is pulled to that real image of its class which is least like it, so that
all of the class are represented, and pushed from that earlier prediction which is most like it, so
that images differ:

    L = L_diff + lambda_r (1 - min over m in M_real of cos(z^, m))
               + lambda_d max over m in M_pseudo of cos(z^, m).

Both memories are of the class, and hold the last N_M latents.

From the authors' code: the three terms, their weights and memory sizes, latents flattened for the
cosine, oldest latents out first, Adam without weight decay, 50 steps of sampling. Ours: a denoiser
that was trained on the films, since no download is wanted, and all of its weights are trained
(theirs is a public one, of which they train biases, norms and embeddings); it predicts velocities
under a cosine, not noise and variances under a line (``medidd.denoisers.diffusion``). Minimum and
maximum are taken for each image; their code takes one over all images of a class in a batch, which
is no mean over images and cannot be asked of a source. For the same reason memories take in latents
of images drawn for them, before the loss and not after it. They are full when a path begins, not
empty; a path has ``path`` steps, so that a run can be resumed. The step size is a fifth of theirs,
and guidance 2, not 4: small denoisers exaggerate with more (docs/minimax.md). S is drawn without
noise on the way (DDIM), so that it depends on the noise it began as.

A memory of real latents is asked as a mean over one image. A private source answers no such
question, but with the noisy mean of the class; and the minimum over copies of a mean is no minimum.
So under a guarantee there are no such steps: the denoiser carries the guarantee, and S is drawn.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import normalize

from medidd.data import Question, Source, SyntheticSet
from medidd.denoisers.denoiser import Denoiser, learned
from medidd.denoisers.diffusion import MOMENTS
from medidd.denoisers.trained import Trained
from medidd.descent import toward
from medidd.distill import Preset
from medidd.network import Weights

RENEWED = 4
"""Latents of each class that enter a memory in a step."""

HIDDEN = 0.1
"""Chance that an image's label is hidden, as when the denoiser was trained."""


@dataclass(frozen=True)
class Minimax:
    """Minimax diffusion.

    Attributes:
        denoiser: the diffusion model that the training starts from.
        steps: updates of its weights; 0 draws from it as it is.
        batch: real images per update.
        lr: step size of Adam.
        lambda_r: weight of representativeness.
        lambda_d: weight of diversity.
        memory: N_M, latents of a class in each of the memories.
        path: updates after which the memories are filled anew.
        guidance: w, of what the label adds to a prediction in sampling.
        sampling_steps: network calls for an image; a divisor of 1000.
    """

    paper: ClassVar[Preset] = {
        1: {"steps": 10_000, "batch": 8, "lr": 1e-3, "guidance": 4.0, "sampling_steps": 50}
    }
    private: ClassVar[Mapping[str, Any]] = {"steps": 0}
    origin: ClassVar[str] = "denoiser"

    denoiser: Trained
    steps: int = 100
    batch: int = 64
    lr: float = 2e-4
    lambda_r: float = 0.002
    lambda_d: float = 0.008
    memory: int = 64
    path: int = 50
    guidance: float = 2.0
    sampling_steps: int = 50

    def __post_init__(self) -> None:
        if min(self.batch, self.memory, self.path, self.sampling_steps) < 1:
            raise ValueError("batch, memory, path and sampling_steps must be 1 or more")
        if MOMENTS % self.sampling_steps:  # else noise is left, for a step takes away whole moments
            raise ValueError(f"sampling_steps must divide {MOMENTS}, not be {self.sampling_steps}")

    @property
    def shown(self) -> int:
        """Released images per learned one."""
        return 1

    def releases(self, classes: int) -> int:  # noqa: ARG002
        """Returns how often T is asked: before each step for the memories, and for the loss."""
        return 2 * self.steps

    def encode(self, synthetic: SyntheticSet) -> SyntheticSet:
        """Returns S as it is learned: the noise that its images are drawn from, and the weights."""
        images = synthetic.images
        noise = images - images.mean((1, 2, 3), keepdim=True)
        noise = noise / noise.square().mean((1, 2, 3), keepdim=True).sqrt()
        theta = {name: w.to(images, copy=True) for name, w in self.denoiser.theta.items()}
        return replace(synthetic, images=noise, model=theta)

    def decode(self, synthetic: SyntheticSet) -> SyntheticSet:
        """Returns S as it is released: one image drawn from each noise."""
        s = synthetic
        theta = {name: weight.detach() for name, weight in s.model.items()}
        drawn = self.denoiser.denoiser.sample(
            theta,
            s.images.detach(),
            s.labels.argmax(1),
            guidance=self.guidance,
            steps=self.sampling_steps,
        )
        return replace(s, images=s.normalization.bounded(drawn), model=theta)

    def optimizer(self, synthetic: SyntheticSet) -> torch.optim.Optimizer:
        """Returns Adam over the weights of the denoiser."""
        return torch.optim.AdamW(
            list(learned(synthetic.model).values()), lr=self.lr, weight_decay=0.0
        )

    def losses(
        self, synthetic: SyntheticSet, real: Source, rng: torch.Generator
    ) -> Iterator[Tensor]:
        """Yields L along one path; its gradient moves the weights."""
        theta = synthetic.model
        denoiser = self.denoiser.denoiser
        memories = self._renewed(
            Memories.empty(real.classes), denoiser, theta, real, rng, self.memory
        )
        for step in range(self.path):
            if step:
                memories = self._renewed(memories, denoiser, theta, real, rng, RENEWED)
            table = denoiser.table(self.batch, rng, like=theta, hidden=HIDDEN)
            seen = partial(denoiser.gradient, theta, table, penalty=partial(self.terms, memories))
            everybody = tuple(range(real.classes))
            loss, gradient = real.means([Question(seen, everybody)], size=self.batch)[0]
            yield toward(loss, [(theta[name], gradient[name]) for name in gradient])

    def terms(self, memories: "Memories", predicted: Tensor, labels: Tensor) -> Tensor:
        """Returns what is added to the loss of each prediction z^, (n,).

        Args:
            memories: of every class.
            predicted: z^, (n, c, h, w).
            labels: their classes, (n,).
        """
        z = normalize(predicted.flatten(1), dim=1)
        least, most = (
            torch.einsum("nd,nmd->nm", z, held[labels]) for held in (memories.real, memories.pseudo)
        )
        return self.lambda_r * (1 - least.amin(1)) + self.lambda_d * most.amax(1)

    def _renewed(
        self,
        memories: "Memories",
        denoiser: Denoiser,
        theta: Weights,
        real: Source,
        rng: torch.Generator,
        count: int,
    ) -> "Memories":
        """Returns memories with as many new latents of each class, real and predicted."""
        table = denoiser.table(count * real.classes, rng, like=theta)

        def pair(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
            latents, predicted, _ = denoiser.seen(theta, table, x, y)
            return latents.mean(0).flatten(), predicted.mean(0).flatten()

        asked = [Question(pair, (label,)) for label in range(real.classes) for _ in range(count)]
        latents, predicted = zip(*real.means(asked, size=1), strict=True)
        return memories.with_newer(torch.stack(latents), torch.stack(predicted), self.memory)


@dataclass(frozen=True)
class Memories:
    """The latents of every class that predictions are compared with, of length 1.

    Attributes:
        real: of real images, (K, m, D), the newest last.
        pseudo: of predictions, (K, m, D).
    """

    real: Tensor
    pseudo: Tensor

    @classmethod
    def empty(cls, classes: int) -> "Memories":
        """Returns memories that hold nothing yet."""
        nothing = torch.empty(classes, 0, 0)
        return cls(nothing, nothing)

    def with_newer(self, real: Tensor, pseudo: Tensor, most: int) -> "Memories":
        """Returns memories with newer latents (K * m, D), without the oldest beyond ``most``."""

        def joined(held: Tensor, new: Tensor) -> Tensor:
            of_class = normalize(new, dim=1).reshape(len(held), -1, new.shape[1])
            return (torch.cat([held, of_class], 1) if held.shape[1] else of_class)[:, -most:]

        return Memories(joined(self.real, real), joined(self.pseudo, pseudo))
