"""Denoisers for the methods that draw S from one: how they are trained, and on which films.

A run that draws from a denoiser remembers how it was trained, so that an audit can train others
like it on other patients. Public weights that it began with are kept for the same reason.
"""

import hashlib
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import torch

from medidd.data import Source
from medidd.denoisers.making import make
from medidd.denoisers.trained import Configuration, Trained, record
from pipelines.learning.asking import Asking, plainly
from pipelines.learning.beforehand.films import digest
from pipelines.learning.job import FrozenJob
from pipelines.run.errors import Exit, Stop
from pipelines.run.progress import Progress
from pipelines.run.store import Json, Run, own, write
from privacy.dp.source import PrivateSource
from privacy.release import Films

PUBLIC = "public.safetensors"
"""File of the public weights that a denoiser began with, in the private part of its folder and of
the runs that draw from it."""


def train_denoiser(
    configuration: Mapping[str, Any],
    films: Films,
    classes: int,
    about: Mapping[str, Any],
    folder: Path,
    *,
    device: torch.device,
    stage: str = "train the denoiser",
    asked: Asking = plainly,
    initial: Path | None = None,
) -> Generator[Progress, None, None]:
    """Makes a denoiser of films, or goes on where that was stopped.

    Args:
        configuration: how it is made, as JSON.
        films: of the patients to learn from.
        classes: K.
        about: what it is for.
        folder: where to.
        device: where to compute.
        stage: what people are told is being done.
        asked: how the films are asked: plainly, or under a guarantee.
        initial: file of public weights; not read if it begins with fresh ones.

    Raises:
        Stop: the folder holds another one, the public weights are missing or do not fit, or it
            diverged.
    """

    def source(count: int, answered: int, rng: torch.Generator) -> Source:
        real = asked(count, classes, films, device, rng)
        if isinstance(real, PrivateSource):
            real.position = answered
        return real

    try:
        made = opened(folder, configuration, films, classes, about)
        like = torch.empty(0, device=device)
        begins = _public(made.configuration.weights, initial)
        for name, step, steps, loss in make(folder, made, source, like, begins):
            of = stage if name == "denoiser" else f"{stage}: {name}"
            yield Progress(of, step, steps, f"loss {loss:.3f}" if step else "")
    except (ValueError, FloatingPointError) as error:
        raise Stop(str(error), Exit.USAGE) from None


def keep_public(path: Path, run: Run) -> None:
    """Keeps a file of public weights with a denoiser, or with a run that draws from one.

    Raises:
        Stop: it is missing.
    """
    if (run.private / PUBLIC).exists():
        return
    try:
        write(run.private / PUBLIC, path.read_bytes())
    except FileNotFoundError:
        raise Stop(
            f"{path}: missing; make the denoiser again in another folder", Exit.USAGE
        ) from None


def _public(digest: str, path: Path | None) -> Path | None:
    """Returns the file of public weights with a checksum; None if there is to be none.

    Raises:
        ValueError: it is not there.
    """
    if not digest:
        return None
    if path is None or not path.exists():
        raise ValueError(f"{path}: missing; the denoiser began with these public weights")
    if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
        raise ValueError(f"{path}: not the public weights that the denoiser began with")
    return path


def opened(
    folder: Path | None,
    configuration: Mapping[str, Any],
    films: Films,
    classes: int,
    about: Mapping[str, Any],
) -> Trained:
    """Returns the denoiser in a folder; nothing is read before it is needed."""
    _, channels, size, _ = films.images.shape
    how = Configuration.from_json(configuration)
    return Trained(folder, how, classes, channels, size, about)


def recorded(folder: Path) -> Json:
    """Returns how the denoiser in a folder was made.

    Raises:
        Stop: there is none, it is damaged, not finished, or of another installation.
    """
    if (made := Run(folder)).job.exists():
        own(made)
    try:
        found = record(folder)
        how, about = Configuration.from_json(found["configuration"]), found["about"]
        Trained(folder, how, about["classes"], about["channels"], about["size"], about).require()
        return found["configuration"]
    except ValueError as error:
        raise Stop(str(error), Exit.USAGE) from None


def about(films: Films, classes: int, frozen: FrozenJob) -> dict[str, Any]:
    """Returns for what a denoiser must have been made, so that a run on these films can use it."""
    return made_for(films, classes, size=frozen.size)


def made_for(films: Films, classes: int, *, size: int) -> dict[str, Any]:
    """Returns by what denoisers are recognised: their images, and a digest of their films."""
    channels = films.images.shape[1]
    return {"size": size, "channels": channels, "classes": classes, "films": digest(films)}
