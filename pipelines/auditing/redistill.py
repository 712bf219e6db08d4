"""The run's own recipe on other films. Audits compare the run's release with the results."""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing, nullcontext
from pathlib import Path

import torch

from pipelines.learning.asking import asking
from pipelines.learning.beforehand.denoisers import PUBLIC
from pipelines.learning.beforehand.kinds import needed, trained_on
from pipelines.learning.learn import learn
from pipelines.learning.opened_run import OpenedRun
from pipelines.learning.step_time import denoiser_seconds, seconds_per_step, spoken
from pipelines.run.lock import turns
from pipelines.run.progress import Progress
from pipelines.run.release_file import quantized
from pipelines.run.seeds import derived
from pipelines.workers.helping import ALONE, TWO, Workers
from privacy.release import Films, Release


def redistill(
    opened: OpenedRun,
    several: Sequence[Callable[[], Films]],
    *,
    purpose: str,
    stage: str,
    folder: Path,
    workers: Workers = TWO,
    beside: bool = False,
    shared: bool = True,
) -> Generator[Progress, None, tuple[Release, ...]]:
    """Learns a release from each of ``several``, as the run learned its own.

    Finished releases stay in ``folder`` and are not learned again. If they take long, other
    processes learn some of them.

    Args:
        opened: the run.
        several: gives the films of each release; they are asked for one after another, for they
            may be many.
        purpose: name of the seeds.
        stage: name of a release in the progress.
        folder: folder of checkpoints and experts.
        workers: who helps.
        beside: whether this process helps another one, and so begins with the last.
        shared: whether other processes can find out what is to be made.
    """
    count = len(several)
    missing = [one for one in range(count) if not finished(folder, one).exists()]
    seconds = 0.0 if beside else _estimate(opened, several, len(missing))
    kind = needed(opened.frozen.method)
    besides = ", plus their experts" if kind is not None and kind.name == "experts" else ""
    yield Progress(f"{stage}s", 0, count, f"about {spoken(seconds)}{besides}" if seconds else "")
    long = shared and seconds > ALONE and len(missing) > 1
    company = (
        workers.helping(
            opened.run.path, "pipelines.auditing.beside", purpose, most=len(missing) - 1
        )
        if long
        else nullcontext()
    )

    def learned(number: int) -> Generator[Progress, None, Release]:
        films = several[number]()
        trained = folder / f"{number}-experts"
        recipe = yield from trained_on(
            opened.recipe,
            opened.frozen,
            films,
            trained,
            public=opened.run.private / PUBLIC,
            seed=derived(opened.frozen.seed, f"{purpose} experts", number),
            stage=f"{stage} {number + 1}",
            asked=asking(opened.frozen.budget, trained / "answers"),
        )
        synthetic = yield from learn(
            recipe,
            films,
            stage=f"{stage} {number + 1} of {count}",
            seed=derived(opened.frozen.seed, purpose, number),
            device=opened.frozen.device,
            checkpoint=finished(folder, number),
            log=folder / f"{number}.jsonl",
            asking=asking(opened.frozen.budget, folder / f"{number}-answers"),
        )
        made = quantized(synthetic, {}, recipe.digits)
        return Release(made.display, made.labels)

    order = range(count)[:: -1 if beside else 1]
    locks = [folder / f"{number}.lock" for number in order]
    releases: dict[int, Release] = {}
    with company, closing(turns(locks)) as ours:
        for place in ours:
            releases[order[place]] = yield from learned(order[place])
    return tuple(releases[number] for number in range(count))


def finished(folder: Path, number: int) -> Path:
    """Returns the checkpoint of a release that is made in a folder, by its number."""
    return folder / f"{number}.safetensors"


def _estimate(opened: OpenedRun, several: Sequence[Callable[[], Films]], missing: int) -> float:
    """Returns the seconds that the missing releases will take one after another, 0 if not known.

    Their denoisers are part of it, their experts are not.
    """
    recipe, frozen = opened.recipe, opened.frozen
    if not missing:
        return 0.0
    largest = int(torch.bincount(several[0]().labels).max())
    try:
        seconds = recipe.steps * seconds_per_step(recipe, largest, frozen.size, frozen.device)
        if frozen.denoiser is not None:
            seconds += denoiser_seconds(recipe, frozen.size, frozen.device)
    except (ValueError, FloatingPointError):  # settings that work on films may fail on noise
        return 0.0
    return missing * seconds
