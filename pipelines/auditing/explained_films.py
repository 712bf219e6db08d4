"""How well the model that a release was drawn from explains films, for the membership attack A1.

A model has seen some films often while it was trained, and takes the noise off these better than
off others (Matsumoto, Miura & Yanai 2023, arXiv:2302.03262; Carlini et al., USENIX Security 2023,
arXiv:2301.13188). The model never leaves. An attacker who had it would know more than any recipient
can, so that what A1 bounds is on the safe side.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from medidd.data import NORMALIZATION, at_once
from medidd.denoisers.denoiser import Denoiser
from medidd.denoisers.draws import Draws
from medidd.distill import DrawsImages
from medidd.fields import values
from medidd.network import Weights
from pipelines.auditing.canaries import canary_folder
from pipelines.auditing.null_releases import null_folder
from pipelines.auditing.redistill import finished
from pipelines.learning.checkpoint import read_model
from pipelines.learning.opened_run import OpenedRun
from pipelines.run.seeds import generator
from privacy.evidence import Canaries
from privacy.nulls import Nulls
from privacy.release import Films, Release

MOMENTS = (50, 100, 200, 300, 400, 500)
"""Moments of the noising, of 1000, at which films are denoised. With less noise every model takes
it off, with more none does."""

Explains = Callable[[Tensor, Tensor], Tensor]
"""Takes display values (n, C, H, W) and labels (n, K), and returns minus the error, (n,)."""


def explained(
    opened: OpenedRun,
    release: Release,
    nulls: Nulls | None,
    reference: Films | None,
    canaries: Canaries | None,
) -> Callable[[Release], Explains] | None:
    """Returns how well the model of each release explains films; None if it has no model.

    Args:
        opened: the run.
        release: its release.
        nulls: the null releases, if there are any.
        reference: the films that these were made of; None for controls.
        canaries: distillations with planted patients, if there are any.
    """
    method: Any = opened.recipe.method
    if not isinstance(method, DrawsImages):
        return None
    paths: dict[Release, Path] = {release: opened.run.checkpoint}
    if nulls is not None:
        folder = null_folder(opened, reference)
        paths |= {one: finished(folder, number) for number, one in enumerate(nulls.releases)}
    if canaries is not None:
        folder = canary_folder(opened)
        paths |= {one: finished(folder, number) for number, one in enumerate(canaries.releases)}
    device, denoiser = opened.frozen.device, values(method)["denoiser"].denoiser

    def of(release: Release) -> Explains:
        return explains(denoiser, read_model(paths[release], device), opened.frozen.seed)

    return of


def explains(denoiser: Denoiser, theta: Weights, seed: int) -> Explains:
    """Returns how well a model explains films: every film gets the same noise, at each moment.

    Args:
        denoiser: the model.
        theta: its weights.
        seed: of the noise, the same for all models that are compared.
    """
    like, rng = next(iter(theta.values())), generator(seed, "explained")
    tables = [
        Draws(
            torch.zeros(denoiser.pixels, dtype=torch.float64),
            torch.tensor([moment]),
            torch.randn(1, *denoiser.latents.shape, generator=rng),
            torch.tensor([False]),
        ).on(like)
        for moment in MOMENTS
    ]

    def explained(display: Tensor, labels: Tensor) -> Tensor:
        found = []
        size = at_once(display)
        for images, of in zip(torch.split(display, size), torch.split(labels, size), strict=True):
            x, y = NORMALIZATION.standardize(images).to(like), of.to(like)
            with torch.no_grad():
                errors = [denoiser.seen(theta, table, x, y)[2] for table in tables]
            found.append(-torch.stack(errors).mean(0).to(display.device))
        return torch.cat(found)

    return explained
