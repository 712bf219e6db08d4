"""How many bytes a study needs on disk, by what they are for."""

from collections.abc import Sequence

import torch

from medidd.fields import values
from medidd.network import Weights
from pipelines.auditing.canaries import RUNS
from pipelines.auditing.null_releases import COUNT
from pipelines.evaluation.utility import NETWORKS
from pipelines.learning.job import FrozenJob
from pipelines.learning.recipe import Recipe
from pipelines.planning.study import AuditLevel, Numbers

LEVEL = 2
"""Bytes of a pixel in a cohort (``medidd.dicom.storage.Rows``)."""

ROW = 450
"""Bytes of a film in ``films.jsonl`` and ``tokens``: 423 on the sample set, more if names are
longer."""

PREDICTED = 22
"""Bytes of a probability as a network's predictions are stored, in JSON."""

PAGES = 300_000
"""Bytes of a run's report, audit, log and metrics; 200,000 with 6 images of 32 px."""


def disk(
    kinds: Sequence[FrozenJob],
    numbers: Numbers,
    *,
    seeds: int,
    audit: AuditLevel,
    experts: int,
) -> dict[str, int]:
    """Returns bytes by what they are for, when all is done.

    All runs share one cohort, as those of ``medidd sweep`` do. While it is written its films are
    there twice: ``while reading`` is more of that.

    Args:
        kinds: each method and number of images per class.
        numbers: films and patients.
        seeds: runs of each kind.
        audit: how thoroughly a run is audited.
        experts: number of experts of a seed.
    """
    pixels = numbers.films * kinds[0].size ** 2 * LEVEL
    cohort = pixels + numbers.films * ROW
    others = {"none": 0, "screen": 0, "standard": COUNT, "full": COUNT + RUNS}[audit]
    found = dict.fromkeys(
        (
            "films",
            "while reading",
            "experts",
            "denoisers",
            "checkpoints",
            "predictions",
            "releases",
        ),
        0,
    )
    matching, drawn_from = 0, 0
    for frozen in kinds:
        recipe = frozen.recipe(numbers.classes)
        image = recipe.shown * recipe.classes * frozen.size**2
        rows = NETWORKS * (5 if frozen.budget is None else 6)
        found["checkpoints"] += seeds * (1 + others) * checkpoint(frozen, recipe)
        found["predictions"] += seeds * rows * numbers.test * numbers.classes * PREDICTED
        found["releases"] += seeds * (2 * image + PAGES)  # levels, and about as much in pictures
        if frozen.experts is not None:
            one = snapshots(frozen, recipe)
            found["experts"] += seeds * others * experts * one
            matching = max(matching, one)
        if frozen.denoiser is not None:
            one = weights_of(recipe)
            found["denoisers"] += seeds * others * one
            drawn_from = max(drawn_from, one)
    found["experts"] += seeds * experts * matching
    found["denoisers"] += seeds * drawn_from
    found["films"], found["while reading"] = cohort, pixels
    return found


def checkpoint(frozen: FrozenJob, recipe: Recipe) -> int:
    """Returns bytes of a checkpoint: S in single precision, and a momentum as large."""
    if recipe.method is None:
        return 0
    images = recipe.shown * recipe.classes * frozen.size**2
    if frozen.denoiser is not None:  # weights, and Adam's two averages of as many numbers
        return 4 * images + 3 * weights_of(recipe)
    return 2 * 4 * images


def weights_of(recipe: Recipe) -> int:
    """Returns bytes of the weights of a recipe's denoiser."""
    theta: Weights = values(recipe.method)["denoiser"].theta
    return 4 * sum(weight.numel() for weight in theta.values())


def snapshots(frozen: FrozenJob, recipe: Recipe) -> int:
    """Returns bytes of one expert: its weights before training and after each epoch."""
    how = dict(frozen.experts or {})
    network = values(recipe.method)["network"]
    numbers = sum(w.numel() for w in network.init(torch.Generator()).values())
    return int((how["epochs"] + 1) * numbers * (2 if how["dtype"] == "float16" else 4))
