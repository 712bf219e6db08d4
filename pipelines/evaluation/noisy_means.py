"""The floor under every release with a guarantee: class means with the noise of that guarantee."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from medidd.distill import distill
from pipelines.learning.asking import asking
from pipelines.learning.opened_run import OpenedRun


def class_means(
    opened: OpenedRun, images: Tensor, labels: Tensor
) -> Callable[[torch.Generator], tuple[Tensor, Tensor]]:
    """Returns a draw of class means with the noise of the run's guarantee, as large as its release.

    They are the floor under every release with a guarantee: they cost one answer and no learning.
    """
    frozen, recipe = opened.frozen, opened.recipe
    members = opened.patients.members
    job = replace(frozen, method="class-mean", ipc=recipe.shown, settings={}, steps=None)
    means = job.recipe(recipe.classes)
    asked = asking(frozen.budget, None)

    def drawn(rng: torch.Generator) -> tuple[Tensor, Tensor]:
        synthetic = means.begun(images, labels, rng)
        real = asked(means.releases, means.classes, members, images.device, rng)
        if means.method is not None:
            for _ in distill(means.method, synthetic, real, steps=means.steps, rng=rng):
                pass
        return synthetic.images.detach(), synthetic.labels

    return drawn
