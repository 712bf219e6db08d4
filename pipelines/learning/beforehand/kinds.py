"""The kinds of things that a method needs trained on the films before it: experts, a denoiser.

A method has such a thing in a field of that name, the command line an option and a command of it.
Audits train others like it on other patients.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medidd import fields
from medidd.methods import METHODS
from pipelines.learning.asking import Asking, plainly
from pipelines.learning.beforehand import denoisers, experts
from pipelines.learning.job import FrozenJob
from pipelines.learning.recipe import Recipe
from pipelines.run.errors import Exit, Stop
from pipelines.run.progress import Progress
from pipelines.run.store import Json
from privacy.release import Films


@dataclass(frozen=True)
class Beforehand:
    """One kind of thing that is trained beforehand.

    Attributes:
        name: of the method's field, of the option, of the command that makes it, and of the frozen
            job's field that says how it was made.
        words: what it is, for people.
        recorded: returns how the one in a folder was made.
        about: returns for what one must have been made, so that a run on these films can use it.
        train: makes one; takes the recipe, how it is made, films, what it is for, a folder, the
            file of public weights, a device, what people are told, and how films are asked.
        use: returns the recipe with the one in a folder, that was made for something.
    """

    name: str
    words: str
    recorded: Callable[[Path], Json]
    about: Callable[[Films, int, FrozenJob], dict[str, Any]]
    train: Callable[..., Generator[Progress, None, None]]
    use: Callable[[Recipe, Path, Mapping[str, Any]], Recipe]


def _train_experts(
    recipe: Recipe, how: Json, films: Films, about: Json, folder: Path, public: Path, **more: Any
) -> Generator[Progress, None, None]:
    del public
    network = fields.values(recipe.method)["network"]
    return experts.train_experts(network, how, films, recipe.classes, about, folder, **more)


def _train_denoiser(
    recipe: Recipe, how: Json, films: Films, about: Json, folder: Path, public: Path, **more: Any
) -> Generator[Progress, None, None]:
    classes = recipe.classes
    return denoisers.train_denoiser(how, films, classes, about, folder, initial=public, **more)


KINDS: dict[str, Beforehand] = {
    "experts": Beforehand(
        "experts",
        "experts",
        experts.recorded,
        experts.about,
        _train_experts,
        Recipe.on_experts,
    ),
    "denoiser": Beforehand(
        "denoiser",
        "a denoiser",
        denoisers.recorded,
        denoisers.about,
        _train_denoiser,
        Recipe.on_denoiser,
    ),
}
"""All kinds by name."""


def needed(method: str) -> Beforehand | None:
    """Returns what a method needs trained beforehand; None if nothing."""
    held = fields.fields(METHODS[method]) if method in METHODS else {}
    return next((kind for name, kind in KINDS.items() if name in held), None)


def recorded(method: str, given: Mapping[str, Path | None]) -> dict[str, Json]:
    """Returns how what a method needs was made, by the field of the frozen job that says so.

    Args:
        method: a method or a start.
        given: the folders that were named, by kind.

    Raises:
        Stop: the method needs something and is given nothing, or is given what it does not need, or
            that is damaged or of another installation.
    """
    kind, found = needed(method), dict[str, Json]()
    for name, folder in given.items():
        if folder is not None and (kind is None or kind.name != name):
            raise Stop(f"{method} uses no {name}; leave out --{name}", Exit.USAGE)
        found[name] = None
    if kind is None:
        return found
    folder = given[kind.name]
    if folder is None:
        raise Stop(
            f"{method} needs {kind.words}; train with medidd {kind.name} and give the folder with "
            f"--{kind.name}",
            Exit.USAGE,
        )
    return found | {kind.name: kind.recorded(folder)}


def trained_on(
    recipe: Recipe,
    frozen: FrozenJob,
    films: Films,
    folder: Path,
    *,
    public: Path,
    seed: int | None = None,
    stage: str,
    asked: Asking = plainly,
) -> Generator[Progress, None, Recipe]:
    """Returns a run's recipe for films; what it needs beforehand, if anything, is trained on them.

    Args:
        recipe: of the run.
        frozen: its job.
        films: to train on.
        folder: where to.
        public: file of the public weights that a denoiser begins with, if it does.
        seed: in place of the run's.
        stage: what people are told is being done; what is trained follows.
        asked: how films are asked.
    """
    kind = needed(frozen.method)
    if kind is None:
        return recipe
    how = getattr(frozen, kind.name)
    of = kind.about(films, recipe.classes, frozen)
    yield from kind.train(
        recipe,
        how if seed is None else {**how, "seed": seed},
        films,
        of,
        folder,
        public,
        device=frozen.device,
        stage=f"{kind.name} of {stage}",
        asked=asked,
    )
    return kind.use(recipe, folder, of)
