"""What a release may say of itself: what follows from its frozen job, and nothing else.

The text in the release file becomes the manifest, the card and the Croissant file. Nobody would see
a film in it, or a patient's number among the fields of a method. So the text is made anew from the
frozen job, and gate G3 compares. Two parts do not follow from the job: versions of software, which
must look like versions, and learned step sizes, which must be as many as the method has, with four
digits each.
"""

import json
import math
import re
from dataclasses import replace

import numpy as np
import torch

from medidd import fields
from medidd.data import NORMALIZATION
from medidd.distill import DrawsImages, Prepares
from pipelines.evaluation.utility import recipient, told
from pipelines.learning.job import versions
from pipelines.learning.opened_run import OpenedRun
from pipelines.learning.plan import planned
from pipelines.learning.promise import BEFOREHAND, stated
from pipelines.run.release_file import FILM_CLASSES, LEVELS, read_release
from pipelines.run.seal import read_sealed, write_sealed
from pipelines.run.seeds import generator
from pipelines.run.store import Json

_VERSION = re.compile(r"\d{1,4}(\.\d{1,4}){1,3}([.+-]?[a-z]{1,5}\d{0,4}){0,3}")
_PURPOSE = "guarantee of experts"


def facts(opened: OpenedRun, guarantee: Json | None) -> Json:
    """Returns what the release says of itself, but for learned step sizes.

    Args:
        opened: the run.
        guarantee: as the release states it; None if it has none.
    """
    frozen = opened.frozen
    scale = {"mean": NORMALIZATION.mean, "std": NORMALIZATION.std, "levels": LEVELS}
    cohort = opened.patients.cohort
    said = frozen.facts(cohort.classes, scale, guarantee)
    if len(cohort.films):
        said |= {FILM_CLASSES: [cohort.classes[of] for of in np.unique(cohort.of_films)]}
    return said | {"training": told(recipient(frozen), frozen.width)}


def declared(opened: OpenedRun) -> Json:
    """Returns what the release file may say, as JSON: computed anew from the frozen job.

    Raises:
        Stop: the release was learned from experts with a guarantee, and the run does not know it.
    """
    found = read_release(opened.run).facts
    may = facts(opened, _guarantee(opened))
    if _are_versions(found["versions"]):
        may["versions"] = found["versions"]
    method = opened.recipe.method
    if method is not None and isinstance(method, Prepares):
        sizes = found.get("step sizes")
        may |= {"step sizes": sizes} if _are_step_sizes(sizes, opened) else {}
    return json.loads(json.dumps(may))


def keep_guarantee(opened: OpenedRun, guarantee: Json) -> None:
    """Writes down the guarantee of a run's experts; it cannot be computed without them."""
    write_sealed(opened.run.private / BEFOREHAND, guarantee, _PURPOSE)


def _guarantee(opened: OpenedRun) -> Json | None:
    frozen, recipe = opened.frozen, opened.recipe
    if frozen.budget is None:
        return None
    if frozen.beforehand is not None:
        again = "make the run again with medidd distill"
        return read_sealed(opened.run.private / BEFOREHAND, _PURPOSE, again)
    return stated(frozen.budget, planned(recipe, frozen.budget, frozen.size), opened.patients.unit)


def _are_versions(found: Json) -> bool:
    return (
        isinstance(found, dict)
        and found.keys() == versions().keys()
        and all(isinstance(one, str) and _VERSION.fullmatch(one) for one in found.values())
    )


def _are_step_sizes(found: Json, opened: OpenedRun) -> bool:
    sizes = found if isinstance(found, list) else [found]
    short = all(isinstance(one, float) and float(f"{one:.4g}") == one for one in sizes)
    shape = [len(sizes)] if isinstance(found, list) else []
    return short and all(0 < one < math.inf for one in sizes) and shape == _shape(opened)


def _shape(opened: OpenedRun) -> list[int]:
    """Returns the shape of the step sizes of a run's release, found out on gray pictures."""
    recipe, size = opened.recipe, opened.frozen.size
    if isinstance(recipe.method, DrawsImages) or "experts" in fields.values(recipe.method):
        return []  # a single one
    gray = torch.zeros(recipe.classes, 1, size, size)
    begun = replace(recipe, start="noise").begun(gray, torch.arange(recipe.classes), generator(0))
    return list(begun.log_lr.shape)
