"""The release made once more from the frozen job, so that an audit can compare bytes (G9).

Patients are not asked again: under a guarantee the noisy answers of the run are used. Experts or
a denoiser are trained again, as they were.
"""

import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any

import torch

from pipelines.learning.beforehand.denoisers import PUBLIC
from pipelines.learning.beforehand.kinds import trained_on
from pipelines.learning.making import elsewhere, made
from pipelines.learning.opened_run import OpenedRun
from pipelines.run.errors import Exit, Stop
from pipelines.run.progress import Progress
from pipelines.run.release_file import read_release
from pipelines.run.store import Run
from privacy.dp.answers import StoredAnswers
from privacy.evidence import Again
from privacy.release import Release

STAGE = "make the release again"


def again(run: Run) -> Path:
    """Returns the folder that is needed while a release is made once more."""
    return run.private / "again"


def require_possible(opened: OpenedRun) -> None:
    """Checks, before any work, that the release can be made again without asking patients.

    Raises:
        Stop: it cannot.
    """
    frozen, run, recipe = opened.frozen, opened.run, opened.recipe
    if frozen.device.type == "cuda" and not torch.cuda.is_available():
        raise Stop(
            "--redo: the run was made on a GPU, and no CUDA device is usable here; repeat the "
            "audit where the run was made, or leave out --redo",
            Exit.USAGE,
        )
    if frozen.budget is None:
        return
    if frozen.beforehand is not None:
        raise Stop(
            "--redo: what this run needs trained before it has a guarantee, and training it again "
            "would ask the patients again; leave out --redo",
            Exit.USAGE,
        )
    if len(StoredAnswers(run.answers)) < recipe.releases:
        raise Stop(
            f"{run.answers}: noisy answers are missing, and patients must not be asked again; "
            "restore the folder from a backup, or leave out --redo",
            Exit.DATA,
        )


def made_again(opened: OpenedRun) -> Generator[Progress, None, Again]:
    """Makes the release again; the generator's value is what came out.

    A process that is killed goes on at its last checkpoint. One that ends leaves nothing, so that
    the next begins anew.

    Raises:
        Stop: it cannot be made without asking patients, or not with this computer.
    """
    require_possible(opened)
    frozen, run = opened.frozen, opened.run
    continued = again(run).exists()
    recipe = yield from trained_on(
        opened.recipe,
        frozen,
        opened.patients.members,
        again(run) / "beforehand",
        public=run.private / PUBLIC,
        stage="the release, again",
    )
    release = yield from made(
        opened,
        recipe,
        stage=STAGE,
        checkpoint=again(run) / "checkpoint.safetensors",
        log=again(run) / "log.jsonl",
    )
    shutil.rmtree(again(run))
    return Again(
        Release(release.display, release.labels),
        stated=_sizes(read_release(run).facts),
        learned=_sizes(release.facts),
        elsewhere=tuple(elsewhere(opened)),
        continued=continued,
    )


def _sizes(facts: Any) -> tuple[float, ...]:
    """Returns the learned step sizes, () if there are none."""
    found = facts.get("step sizes", ())
    return tuple(found) if isinstance(found, list | tuple) else (found,)
