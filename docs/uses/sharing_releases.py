"""What each site releases, and the union that a collaborator trains on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from sharing_federated import Labelled
from sharing_sites import CLASSES

from medidd.data import NORMALIZATION
from medidd.distill import Decodes, distill
from pipelines.learning.asking import asking
from pipelines.learning.recipe import Recipe, recipe, usual_start
from pipelines.run.budget import Budget
from pipelines.run.release_file import Release, quantized
from privacy.release import Films

METHODS = {"moments": 2.0, "rfad": None}
"""The method by default with a guarantee, and its epsilon; and the one without."""


@dataclass(frozen=True)
class Scale:
    """How large everything is.

    Attributes:
        size: height and width of the images in pixels.
        width: filters per block of the ConvNet.
        ipc: images per class and site.
        nets: networks per row that is trained on few images.
        steps: of their training.
        film_steps: of a training on films.
        film_batch: films per step of it.
        rounds: of federated averaging, where there are many.
        settings: fields by method, where they are not the method's own.
    """

    size: int = 64
    width: int = 16
    ipc: int = 3
    nets: int = 2
    steps: int = 300
    film_steps: int = 240
    film_batch: int = 32
    rounds: int = 20
    settings: Mapping[str, Mapping[str, Any]] = field(
        default_factory=lambda: {"rfad": {"steps": 100, "batch": 64}}
    )


def release(name: str, films: Films, patients: int, scale: Scale, seed: int) -> Release:
    """Returns what ``medidd distill`` would release of some films."""
    epsilon = METHODS[name]
    budget = None if epsilon is None else Budget(epsilon, patients=patients)
    made = recipe_of(name, scale, private=budget is not None)
    rng = torch.Generator().manual_seed(seed)
    s = made.begun(NORMALIZATION.standardize(films.images), films.labels, rng)
    cpu, method = torch.device("cpu"), made.method
    real = asking(budget, None)(made.releases, made.classes, films, cpu, rng)
    for _ in distill(method, s, real, steps=made.steps, rng=rng):
        pass
    s = method.decode(s) if isinstance(method, Decodes) else s
    return quantized(s, {"classes": list(CLASSES), "ipc": scale.ipc}, made.digits)


def recipe_of(name: str, scale: Scale, *, private: bool) -> Recipe:
    """Returns how a site distils."""
    return recipe(
        name,
        start=usual_start(name, private=private),
        ipc=scale.ipc,
        settings=dict(scale.settings.get(name, {})),
        classes=len(CLASSES),
        size=scale.size,
        width=scale.width,
        private=private,
    )


def united(releases: Sequence[Release]) -> Labelled:
    """Returns the images and labels of several releases, classes matched by name.

    Raises:
        ValueError: the releases do not have the same classes.
    """
    names = sorted(releases[0].facts["classes"])
    for one in releases:
        if sorted(one.facts["classes"]) != names:
            raise ValueError(
                f"one release has the classes {', '.join(sorted(one.facts['classes']))}, another "
                f"{', '.join(names)}; agree on names, and let each site distil with them"
            )
    places = [[one.facts["classes"].index(name) for name in names] for one in releases]
    return joined(
        [(one.images, one.labels[:, at]) for one, at in zip(releases, places, strict=True)]
    )


def joined(parts: Sequence[Labelled]) -> Labelled:
    """Returns several sets as one."""
    images, labels = zip(*parts, strict=True)
    return torch.cat(images), torch.cat(labels)
