"""How a release is made from a frozen job: by the run, and once more by an audit that compares."""

import platform
from collections.abc import Generator
from pathlib import Path

import torch

from medidd.distill import Prepares
from medidd.machine.ranks import ALONE, Ranks
from pipelines.learning.asking import asking
from pipelines.learning.beforehand.kinds import needed
from pipelines.learning.job import FrozenJob, versions
from pipelines.learning.learn import learn
from pipelines.learning.opened_run import OpenedRun
from pipelines.learning.recipe import Recipe
from pipelines.run.progress import Progress
from pipelines.run.release_file import Release, quantized, step_sizes
from pipelines.run.store import Json, Run, read_json, write_json


def made(
    opened: OpenedRun,
    recipe: Recipe,
    *,
    stage: str,
    checkpoint: Path,
    log: Path,
    ranks: Ranks = ALONE,
) -> Generator[Progress, None, Release]:
    """Learns the release of a run; the generator's value is the release.

    The same job gives the same bytes. Its facts are only those that are learned.

    Args:
        opened: the run.
        recipe: its recipe, with the experts that its method matches, if any.
        stage: what people are told is being done.
        checkpoint: file of the state between two steps.
        log: file of one line per step.
        ranks: the processes that learn it.

    Raises:
        Stop: as ``learn``.
    """
    frozen = opened.frozen
    synthetic = yield from learn(
        recipe,
        opened.patients.members,
        stage=stage,
        seed=frozen.seed,
        device=frozen.device,
        checkpoint=checkpoint,
        log=log,
        asking=asking(frozen.budget, opened.run.answers, ranks),
        ranks=ranks,
    )
    learned: Json = (
        {"step sizes": step_sizes(synthetic)} if isinstance(recipe.method, Prepares) else {}
    )
    return quantized(synthetic, learned, recipe.digits)


_PROCESSES = "processes"
"""What an entry without it was made by is one process."""


def machines(run: Run) -> Path:
    """Returns the file that says on what a run was computed."""
    return run.private / "machines.json"


def note_machine(opened: OpenedRun, beforehand: Path | None, processes: int = 1) -> None:
    """Writes down on what the run computes; one that was resumed elsewhere has several entries.

    Args:
        opened: the run.
        beforehand: the run of its experts or denoiser, if it has any.
        processes: that learn; their sums of shares round differently.
    """
    path = machines(opened.run)
    known = read_json(path) if path.exists() else []
    before = None if beforehand is None else _asked(Run(beforehand))
    here = _machine(opened.frozen, before)
    if processes > 1:
        here[_PROCESSES] = str(processes)
    if here not in known:
        write_json(path, [*known, here])


def elsewhere(opened: OpenedRun) -> list[str]:
    """Returns why the same job may round differently here than where the run was made, in words."""
    path, frozen = machines(opened.run), opened.frozen
    if frozen.device.type == "cuda":
        return ["a GPU does not always round alike"]
    if not path.exists():
        return ["it is not known what the run was made on"]
    how = {
        "threads": frozen.threads,
        "device": frozen.device_name,
        "precision": frozen.precision,
    }
    here = _machine(frozen, None if frozen.beforehand is None else how)
    here[_PROCESSES] = "1"  # an audit learns alone
    return [
        f"{name}: {then.get(name, 'unknown')} then, {here.get(name, 'unknown')} now"
        for then in ({_PROCESSES: "1"} | entry for entry in read_json(path))
        for name in sorted(then.keys() | here.keys())
        if then.get(name) != here.get(name)
    ]


def _asked(run: Run) -> Json:
    """Returns what a run was asked; {} if that is not there."""
    return read_json(run.job)["job"] if run.job.exists() else {}


def _machine(frozen: FrozenJob, before: Json) -> Json:
    """Returns what may change how a job rounds.

    Args:
        frozen: the job.
        before: threads, device and precision that the run's experts or denoiser were trained with;
            None if it has neither.
    """
    processor = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    if frozen.precision == "bfloat16":  # there are several ways to multiply such numbers
        processor = " ".join([processor, *_of_bfloat16()])
    here = versions() | {"processor": processor}
    if before is not None:
        names, kind = ("threads", "device", "precision"), needed(frozen.method)
        of = "" if kind is None else kind.name
        here |= {f"{name} of the {of}": before.get(name, "unknown") for name in names}
    del here["pydicom"]  # the films are read already
    return here


def _of_bfloat16() -> list[str]:
    """Returns what the processor itself can do with bfloat16, as Linux names it."""
    told = Path("/proc/cpuinfo")
    flags = told.read_text().split() if told.exists() else []
    return sorted({flag for flag in flags if flag.endswith("_bf16")})
