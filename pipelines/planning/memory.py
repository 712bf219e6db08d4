"""How much memory a distillation takes, and which option would make it fit."""

from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import Any

import torch

from medidd.distill import DrawsImages
from medidd.evaluate import RECIPIENT, log_probabilities
from medidd.experts.teachers import TEACHING
from medidd.fields import values
from medidd.machine.memory import at_hand, taken
from medidd.split import LARGEST_SHARE
from pipelines.auditing.explained_films import explains
from pipelines.auditing.matched_statistics import matched
from pipelines.evaluation.recipients import RECIPIENTS
from pipelines.evaluation.rehearsal import LEARN, Crowd, Need, rehearsed
from pipelines.learning.asking import standardized
from pipelines.learning.job import FrozenJob
from pipelines.learning.opened_run import OpenedRun
from pipelines.learning.recipe import Recipe
from pipelines.run.errors import Exit, Stop
from pipelines.run.patients import Patients
from pipelines.run.progress import Progress
from pipelines.run.seeds import generator
from privacy.attacks.tracing import CHUNK, explanations, leanings
from privacy.release import Release

SCREEN = "the images are screened"

SEEN = 512
"""Films that a network looks at where the screening is rehearsed: it looks at them in parts."""

HALVINGS = 4
"""An option is halved at most so often before it counts as one that does not help."""


def needed(frozen: FrozenJob, crowd: Crowd, others: int = 1) -> Need | None:
    """Returns what a run needs, as ``rehearsed``; None if that is more than there is.

    Args:
        frozen: the run.
        crowd: its films.
        others: processes beside the command.
    """
    need = rehearsed(frozen, crowd, {SCREEN: _screened}, at_hand())
    return None if need is None else replace(need, others=others)


def said(frozen: FrozenJob, crowd: Crowd, others: int = 1) -> tuple[str, Need | None]:
    """Returns in words what a run needs, and which option would make it fit if it does not.

    Args:
        frozen: the run.
        crowd: its films.
        others: processes beside the command.

    Raises:
        ValueError: the network or the films do not serve the method.
        FloatingPointError: the loss is not finite.
    """
    need, (here, gpu) = needed(frozen, crowd, others), free()
    there = "" if here is None else f"; this computer has {spoken(here)} free"
    if need is None:
        words = f"would need more memory than there is{there}"
    else:
        words = (
            f"would need about {spoken(need.together)} of memory, most of it while {need.largest}"
        )
        words += there
        if need.device:
            words += (
                f"; and {spoken(need.device)} of the GPU's, of which {spoken(gpu or 0)} are free"
            )
    if need is None or not need.fits(here, gpu):
        words += f", which is too little; {remedy(frozen, crowd, need)}"
    return words, need


def remedy(frozen: FrozenJob, crowd: Crowd, before: Need | None) -> str:
    """Returns the option that makes a run fit by the fewest halvings, as a rehearsal shows.

    Fewer processes come first, for they change no result. The method's own settings are tried only
    where learning takes most, for they change no more.
    """
    for others in reversed(range(0 if before is None else before.others)):
        fewer = replace(before, others=others) if before else None
        if fewer and fewer.fits(*free()):
            return f"--workers {others + 1} would need about {spoken(fewer.together)}"
    learning = before is None or before.largest == LEARN
    for halvings in range(1, HALVINGS + 1):
        for option, job in smaller(frozen, halvings):
            if option.startswith("--set") and not learning:
                continue
            need = needed(job, crowd, 1 if before is None else before.others)
            if need is not None and need.fits(*free()):
                return f"{option} would need about {spoken(need.together)}"
    return "no option alone makes it fit; use a smaller --size and fewer films"


def least(frozen: FrozenJob, films: int, more: int = 0) -> int:
    """Returns bytes that the second process of a run takes for certain, beside ``more``.

    It holds the films it learns from and tests on twice: as they are shown and as networks see
    them. A network that is trained keeps what goes into each norm and comes out of each ReLU, of
    every image of a batch; each block has a quarter of the pixels of the one before.

    Args:
        frozen: the run.
        films: of all patients.
        more: bytes that it has before it holds anything.
    """
    pixels, shown = 4 * frozen.size**2, 2 * frozen.ipc
    held = 2 * pixels * films * (1 - LARGEST_SHARE)
    batch = max(min(TEACHING.batch, films // 4), min(RECIPIENT.batch, shown))
    return more + round(held + 2 * batch * frozen.width * pixels * 4 / 3)


def require_room(frozen: FrozenJob, films: int, room: int | None = None) -> None:
    """Checks that the memory at hand is not far too small; this takes no trial and no time.

    Args:
        frozen: the run.
        films: of all patients.
        room: bytes; None for what this process can still take.

    Raises:
        Stop: the run would not fit for certain.
    """
    room, more = at_hand() if room is None else room, taken("RssAnon")
    if room is None or frozen.device.type != "cpu" or least(frozen, films, more) <= room:
        return
    fitting = (
        option
        for halvings in range(1, HALVINGS + 1)
        for option, job in smaller(frozen, halvings)
        if least(job, films, more) <= room
    )
    option = next(fitting, "a smaller --size and fewer films")
    needs = spoken(least(frozen, films, more))
    raise Stop(
        f"training networks on {films} films of {frozen.size} px needs at least {needs} of memory, "
        f"and {spoken(room)} are free; use {option}, or free memory (--dry-run says how much)",
        Exit.USAGE,
    )


def read_if_room(
    reading: Generator[Progress, None, Patients], frozen: FrozenJob
) -> Generator[Progress, None, Patients]:
    """Reads films, unless there is no room for them: looked at when the first one is read.

    Before that nobody knows how many of the files are films.

    Raises:
        Stop: as ``reading`` and ``require_room``.
    """
    looked = False
    while True:
        try:
            progress = next(reading)
        except StopIteration as end:
            patients: Patients = end.value
            return patients
        if progress.done and not looked:
            require_room(frozen, progress.total * frozen.reading.per_film)
            looked = True
        yield progress


def spoken(size: int) -> str:
    """Returns a number of bytes for people."""
    return f"{size / 2**30:.1f} GiB"


def free() -> tuple[int | None, int | None]:
    """Returns the bytes free for a run, here and on a GPU; None if that is not known.

    What this process has now is as good as free, because the command will have it.
    """
    here = at_hand()
    gpu = torch.cuda.mem_get_info()[0] if torch.cuda.is_available() else None
    return None if here is None else here + taken("VmRSS"), gpu


def smaller(frozen: FrozenJob, halvings: int) -> Iterator[tuple[str, FrozenJob]]:
    """Yields jobs in each of which one option is halved so often, and how that is written."""
    method = frozen.recipe(2).fields
    for field in ("batch", "drawn", "epochs", "inner_steps", "window", "pool"):
        if (value := int(method.get(field) or 0) >> halvings) >= 1:
            chosen = {**frozen.settings, field: value}
            yield f"--set {field}={value}", replace(frozen, settings=chosen)
    for name, least in (("ipc", 1), ("width", 8), ("size", 16)):
        if (value := getattr(frozen, name) >> halvings) >= least:
            yield f"--{name} {value}", replace(frozen, **{name: value})


def _screened(opened: OpenedRun, recipe: Recipe) -> None:
    """Rehearses how the release is screened: the audits hold all films twice."""
    frozen, shown = opened.frozen, recipe.shown * recipe.classes
    members, controls = opened.patients.members, opened.patients.controls
    everybody = members.beside(controls)
    for name in dict.fromkeys(RECIPIENTS):
        network = recipe.networks[name]
        seen, _ = standardized(everybody, frozen.device)
        log_probabilities(network, network.init(generator(0), like=seen), seen[:SEEN])
    labels = torch.eye(recipe.classes).repeat_interleave(recipe.shown, 0)
    release = Release(torch.rand(shown, 1, frozen.size, frozen.size), labels)
    few = everybody.at(range(min(CHUNK, len(everybody))))
    method: Any = recipe.method
    if isinstance(method, DrawsImages):
        denoiser = values(method)["denoiser"]
        theta = {name: weight.to(frozen.device) for name, weight in denoiser.theta.items()}
        explained = explains(denoiser.denoiser, theta, frozen.seed)
        explanations(lambda _: explained, (release,), few)
        return
    matches = matched(recipe, seed=frozen.seed, device=frozen.device)
    leanings(matches[:1], (release,), few)
