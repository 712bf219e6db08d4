"""How a synthetic set is made: from names on a command line to a method, a start and networks."""

import dataclasses
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from medidd import fields
from medidd.architectures import ARCHITECTURES, SMALLEST
from medidd.data import SyntheticSet
from medidd.denoisers.presets import usual
from medidd.denoisers.trained import Configuration, Trained, record
from medidd.distill import Decodes, DrawsImages, Method, Prepares, Starts, by_ipc
from medidd.experts.files import read_record
from medidd.experts.trajectories import Trajectories
from medidd.methods import METHODS
from medidd.network import Architecture, Network
from medidd.starts import STARTS, begin
from pipelines.learning.beforehand.films import require_films
from pipelines.learning.requirements import (
    require_drawing,
    require_no_film,
    require_steps,
    require_suited,
)
from pipelines.learning.settings import INGREDIENTS, TRAINED, configured
from pipelines.run.errors import Exit, Stop
from privacy.release import FREE, PROBABILITIES, Digits

PRESETS = ("default", "paper")
"""Where fields that are not set come from: the method's own defaults, which suit a CPU, or the
authors' values for this number of images per class."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a synthetic set is made from any films.

    Attributes:
        name: of the method, or of a start for a baseline.
        method: what is minimised; None for a baseline.
        start: where S begins.
        classes: K.
        ipc: images per class that are learned.
        ingredients: the names of the objects among the method's fields.
        networks: architectures by name, ready for the images.
        teachers: networks trained on the films whose mean prediction labels S; 0 for hard labels.
    """

    name: str
    method: Method | None
    start: str
    classes: int
    ipc: int
    ingredients: Mapping[str, Any]
    networks: Mapping[str, Network]
    teachers: int = 0

    @property
    def steps(self) -> int:
        """Updates of S; 0 for a baseline."""
        return 0 if self.method is None else self.method.steps

    @property
    def releases(self) -> int:
        """How often the method asks about the films: T of a guarantee."""
        return 0 if self.method is None else self.method.releases(self.classes)

    @property
    def fields(self) -> dict[str, Any]:
        """The method's own fields, for people to read; ingredients are left out."""
        if self.method is None:
            return {}
        objects = {*INGREDIENTS, *TRAINED}
        held = fields.values(self.method)
        return {name: value for name, value in held.items() if name not in objects}

    @property
    def digits(self) -> Digits:
        """How finely the release is given: by the method's settings, never by the films."""
        free = self.fields.get("constraint") == "none" and not self.teachers
        return FREE if free else PROBABILITIES

    def on_experts(self, folder: Path, about: Mapping[str, Any]) -> "Recipe":
        """Returns the recipe with the experts that its method matches.

        Args:
            folder: where they are.
            about: what they must have been made for.

        Raises:
            Stop: there are none, they are damaged, or were made for something else.
        """
        held = fields.values(self.method)
        experts = Trajectories(folder, held["network"], about)
        try:
            require_films(folder, read_record(folder)["about"], about, "medidd experts")
            experts.require(held["last_start"] + held["expert_epochs"])
        except ValueError as error:
            raise Stop(str(error), Exit.USAGE) from None
        method = fields.make(type(self.method), held | {"experts": experts})
        return dataclasses.replace(self, method=method)

    def on_denoiser(self, folder: Path, about: Mapping[str, Any]) -> "Recipe":
        """Returns the recipe with the denoiser that its method draws from.

        Args:
            folder: where it is.
            about: what it must have been made for.

        Raises:
            Stop: there is none, it is damaged, or was made for something else.
        """
        held = fields.values(self.method)
        try:
            found = record(folder)
            require_films(folder, found["about"], about, "medidd denoiser")
            # That of an audit has another seed than the run's.
            how = Configuration.from_json(found["configuration"])
            denoiser = dataclasses.replace(
                held["denoiser"], folder=folder, about=about, configuration=how
            )
            _ = denoiser.theta  # as whatever is wrong with it is better said now than later
        except ValueError as error:
            raise Stop(str(error), Exit.USAGE) from None
        method = fields.make(type(self.method), held | {"denoiser": denoiser})
        return dataclasses.replace(self, method=method)

    @property
    def origin(self) -> str:
        """What the released images started from, for audits."""
        return self.method.origin if isinstance(self.method, DrawsImages) else self.start

    @property
    def shown(self) -> int:
        """Images per class that are released."""
        return self.ipc * (self.method.shown if isinstance(self.method, Decodes) else 1)

    def begun(self, images: Tensor, labels: Tensor, rng: torch.Generator) -> SyntheticSet:
        """Returns S as the method begins with it.

        Args:
            images: standardised real images, (n, C, H, W).
            labels: their classes, (n,).
            rng: the run's generator.

        Raises:
            ValueError: a class has too few images for the start or the method.
        """
        start, method = STARTS[self.start], self.method
        synthetic = begin(
            start,
            images,
            labels,
            classes=self.classes,
            ipc=self.shown,
            rng=rng,
            network=self.networks["convnet"],
        )
        if method is None:
            return synthetic
        if isinstance(method, Decodes):
            synthetic = method.encode(synthetic)
        return method.prepare(synthetic) if isinstance(method, Prepares) else synthetic


def usual_method(*, private: bool) -> str:
    """Returns the method by default, with a guarantee and without one; see docs/guarantee.md."""
    return "moments" if private else "rfad"


def usual_start(name: str, *, private: bool) -> str:
    """Returns where S begins unless the user says otherwise; a private source shows no start."""
    kind: Any = METHODS.get(name)
    return kind.start if isinstance(kind, Starts) and not private else "noise"


def recipe(
    name: str,
    *,
    start: str,
    ipc: int,
    settings: Mapping[str, Any],
    classes: int,
    size: int,
    width: int,
    steps: int | None = None,
    preset: str = "default",
    private: bool = False,
    teachers: int = 0,
    denoiser: Mapping[str, Any] | None = None,
) -> Recipe:
    """Builds the recipe.

    Args:
        name: of a method, or of a start for a baseline.
        start: where S begins.
        ipc: images per class that are learned.
        settings: fields that were set.
        classes: K.
        size: height and width in pixels.
        width: filters per block of the ConvNet.
        steps: updates of S; None for the method's own number.
        preset: one of ``PRESETS``.
        private: whether S is learned from a private source; fields that are not set are then those
            that need few of its answers.
        teachers: networks trained on the films that label S; 0 for none.
        denoiser: how the denoiser that the method draws from is made; None for the usual way.

    Raises:
        Stop: a name or a value is not one of those there are, or a private source forbids it.
    """
    networks = built(classes, size, width)
    if private:
        require_no_film(name, start, preset, teachers)
    known = ", ".join([*METHODS, *STARTS])
    if name not in METHODS | STARTS:
        raise Stop(f"unknown method '{name}'; there are: {known}", Exit.USAGE)
    if start not in STARTS:
        raise Stop(f"unknown start '{start}'; there are: {', '.join(STARTS)}", Exit.USAGE)
    if name in STARTS:
        if settings:
            raise Stop(f"'{name}' is a start and has no fields; leave out --set", Exit.USAGE)
        return Recipe(name, None, name, classes, ipc, {}, networks, teachers)
    require_steps(name, steps)
    chosen = dict(settings) if steps is None else {**settings, "steps": steps}
    if preset == "paper":
        chosen = {**by_ipc(METHODS[name].paper, ipc), **chosen}
    if private:
        chosen = {**METHODS[name].private, **chosen}
    held = fields.fields(METHODS[name])
    drawn_from = undrawn(denoiser, classes, size) if "denoiser" in held else None
    method = configured(name, chosen, networks, drawn_from)
    require_suited(method, ipc)
    require_drawing(name, method, start, private=private)
    ingredients = {of: chosen.get(of, by) for of, by in INGREDIENTS.items() if of in held}
    if ingredients.get("network") == "convnet":
        ingredients["width"] = width
    return Recipe(name, method, start, classes, ipc, ingredients, networks, teachers)


def undrawn(made: Mapping[str, Any] | None, classes: int, size: int) -> Trained:
    """Returns a denoiser that has no weights yet: whose they are is known once films are read.

    Args:
        made: how it is made; None for the usual way.
        classes: K.
        size: height and width in pixels.

    Raises:
        Stop: there is no denoiser of such images.
    """
    if made is None:
        try:
            how = usual("cpu", size)
        except ValueError as error:
            raise Stop(f"--size: {error}", Exit.USAGE) from None
    else:
        how = Configuration.from_json(made)
    return Trained(None, how, classes, 1, size, {})


@cache
def built(classes: int, size: int, width: int) -> Mapping[str, Architecture]:
    """Returns every architecture for gray images of ``size`` px, by name.

    Each is made when it is first asked for: some take a library that takes a second to load. All
    are kept, for a run asks many times; a network has no weights of its own, so it can be shared.

    Raises:
        Stop: the images are too small for one of them.
    """
    if size < SMALLEST:
        raise Stop(f"--size: {size} px is too small; use {SMALLEST} px or more", Exit.USAGE)
    return _Built(classes, size, width)


class _Built(Mapping[str, Architecture]):
    def __init__(self, classes: int, size: int, width: int) -> None:
        self._shape, self._width = (classes, 1, size), width
        self._made: dict[str, Architecture] = {}

    def __getitem__(self, name: str) -> Architecture:
        if name not in self._made:
            more = {"width": self._width} if name == "convnet" else {}
            self._made[name] = ARCHITECTURES[name](*self._shape, **more)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(ARCHITECTURES)

    def __len__(self) -> int:
        return len(ARCHITECTURES)
