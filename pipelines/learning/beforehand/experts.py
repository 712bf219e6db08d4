"""Expert trajectories for the methods that match them: how they are trained, and on which films.

A run that uses experts remembers how they were trained, so that an audit can train others like them
on other patients.
"""

from collections.abc import Generator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import torch

from medidd.data import Source
from medidd.experts import trajectories as library
from medidd.experts.files import expert_file, read_record
from medidd.network import Network
from pipelines.learning.asking import Asking, plainly
from pipelines.learning.beforehand.films import digest
from pipelines.learning.job import FrozenJob
from pipelines.run.errors import Exit, Stop
from pipelines.run.lock import turns
from pipelines.run.progress import Progress
from pipelines.run.store import Json, Run, own
from privacy.dp.source import PrivateSource
from privacy.release import Films

Training = Mapping[str, Any]
"""The fields of ``medidd.experts.trajectories.Experts`` but for the network."""


def train_experts(
    network: Network,
    training: Training,
    films: Films,
    classes: int,
    about: Mapping[str, Any],
    folder: Path,
    *,
    device: torch.device,
    stage: str = "train experts",
    asked: Asking = plainly,
) -> Generator[Progress, None, None]:
    """Makes those experts that are not there yet, and that no other process makes, on films.

    Args:
        network: architecture.
        training: how they are trained.
        films: of the patients to learn from.
        classes: K.
        about: what the experts are for.
        folder: where to.
        device: where to compute.
        stage: what people are told is being done.
        asked: how the films are asked: plainly, or under a guarantee.

    Raises:
        Stop: the folder holds others, or an expert diverged.
    """
    like = torch.empty(0, device=device)
    try:
        experts = built_experts(network, training)
        total = experts.count * experts.epochs

        def source(number: int, rng: torch.Generator) -> Source:
            real = asked(experts.releases, classes, films, device, rng)
            if isinstance(real, PrivateSource):  # one account over all experts
                real.position = number * experts.epochs * experts.epoch_steps
            return real

        yield Progress(stage, 0, total)
        locks = [folder / "private" / "locks" / f"{one}" for one in range(experts.count)]
        with closing(turns(locks)) as ours:
            for _, epoch in experts.make(folder, source, about, like=like, numbers=ours):
                others = sum(expert_file(folder, one).exists() for one in range(experts.count))
                yield Progress(stage, others * experts.epochs + epoch, total)
    except (ValueError, FloatingPointError) as error:
        raise Stop(str(error), Exit.USAGE) from None
    yield Progress(stage, total, total)


def built_experts(network: Network, training: Training) -> library.Experts:
    """Returns the experts that a training describes.

    Raises:
        ValueError: a number is out of range.
    """
    how: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in training.items()}
    return library.Experts(network, **how)


def recorded(folder: Path) -> Json:
    """Returns how the experts in a folder were trained.

    Raises:
        Stop: there are none, they are damaged, or of another installation.
    """
    if (made := Run(folder)).job.exists():
        own(made)
    try:
        return read_record(folder)["training"]
    except ValueError as error:
        raise Stop(str(error), Exit.USAGE) from None


def about(films: Films, classes: int, frozen: FrozenJob) -> dict[str, Any]:
    """Returns for what experts must have been made, so that a run on these films can use them."""
    network = frozen.settings.get("network", "convnet")
    return made_for(films, classes, network=network, width=frozen.width, size=frozen.size)


def made_for(films: Films, classes: int, *, network: str, width: int, size: int) -> dict[str, Any]:
    """Returns by what experts are recognised: their network, and a digest of their films."""
    return {
        "network": network,
        "width": width,
        "size": size,
        "channels": films.images.shape[1],
        "classes": classes,
        "films": digest(films),
    }
