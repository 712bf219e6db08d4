"""One distillation on disk: started or continued, with checkpoints and a log.

The run itself and each null release of its audit are made by this, on different patients. Where
several processes share the work, the first one learns and the others follow it.
"""

import json
import os
import time
from collections.abc import Generator
from pathlib import Path

import torch

from medidd.data import SyntheticSet
from medidd.distill import READ_EVERY, Decodes, distill
from medidd.experts.teachers import Teachers, teachers
from medidd.machine.ranks import ALONE, Ranks
from pipelines.learning.asking import Asking, Jointly, plainly, standardized
from pipelines.learning.checkpoint import load_checkpoint, save_checkpoint
from pipelines.learning.recipe import Recipe
from pipelines.run.errors import Exit, Stop
from pipelines.run.progress import Progress
from pipelines.run.seeds import generator
from pipelines.run.store import write
from privacy.dp.source import PrivateSource
from privacy.release import Films

CHECKPOINT_EVERY = 5.0
"""Seconds between checkpoints. They do not change the result."""


def learn(
    recipe: Recipe,
    films: Films,
    *,
    stage: str,
    seed: int,
    device: torch.device,
    checkpoint: Path,
    log: Path,
    asking: Asking = plainly,
    ranks: Ranks = ALONE,
) -> Generator[Progress, None, SyntheticSet]:
    """Learns S from films; the generator's value is S.

    Args:
        recipe: how.
        films: display values in [0, 1] of the patients to learn from.
        stage: what people are told is being done.
        seed: of this distillation.
        device: where.
        checkpoint: file of the state between two steps; the caller removes it later.
        log: file of one line per step.
        asking: how the films are asked: plainly, jointly, or under a guarantee.
        ranks: the processes that learn; the others ``follow``.

    Raises:
        ConnectionError: another process has ended.
        Stop: a class has too few films for the start, or the loss is not finite.
    """
    rng = generator(seed)
    method, answers = recipe.method, 0
    if method is not None and checkpoint.exists():
        step, answers, synthetic, optimizer = load_checkpoint(checkpoint, method, rng, device)
        kept = log.read_text().splitlines(keepends=True)[:step]
        write(log, "".join(kept).encode())
    else:
        try:
            synthetic = recipe.begun(*standardized(films, device), rng)
        except ValueError as error:
            raise Stop(str(error), Exit.DATA) from None
        write(log, b"")
        if method is None:
            return trained_teachers(recipe, films, seed, device).taught(synthetic)
        step, optimizer = 0, method.optimizer(synthetic)
    yield Progress(stage, step, recipe.steps)
    # Only now: the films that the start looked at are gone, so there is one copy of them at a time.
    real = asking(recipe.releases, recipe.classes, films, device, rng)
    if isinstance(real, PrivateSource):
        real.position = answers
    begun, saved = step, time.monotonic()
    if ranks.count > 1:  # the others begin with it
        save_checkpoint(checkpoint, step, synthetic, optimizer, rng)

    with ranks.together(device), log.open("a") as lines:

        def between(taken: int) -> None:
            nonlocal saved
            done = begun + taken
            ranks.align(synthetic.tensors().values())
            if time.monotonic() - saved > CHECKPOINT_EVERY or done == recipe.steps:
                os.fsync(lines.fileno())  # a checkpoint must not know of steps the log has lost
                answers = real.position if isinstance(real, PrivateSource) else 0
                save_checkpoint(checkpoint, done, synthetic, optimizer, rng, answers)
                saved = time.monotonic()

        losses = distill(
            method,
            synthetic,
            real,
            steps=recipe.steps - begun,
            rng=rng,
            optimizer=optimizer,
            between=between,
            read_every=_read_every(device),
        )
        try:
            for loss in losses:
                step += 1
                lines.write(json.dumps({"step": step, "loss": loss}) + "\n")
                lines.flush()
                yield Progress(stage, step, recipe.steps, f"loss {loss:.3f}")
        except FloatingPointError as error:
            raise Stop(f"step {step + 1}: {error}, as in --set lr_images=0.1", Exit.USAGE) from None
        except ValueError as error:  # the network or the experts do not serve the method
            raise Stop(str(error), Exit.USAGE) from None
    if recipe.steps == 0:  # the audit needs the model that S is drawn from
        save_checkpoint(checkpoint, 0, synthetic, optimizer, rng)
    synthetic = method.decode(synthetic) if isinstance(method, Decodes) else synthetic
    return trained_teachers(recipe, films, seed, device).taught(synthetic)


def follow(
    recipe: Recipe, films: Films, *, device: torch.device, checkpoint: Path, ranks: Ranks
) -> None:
    """Learns with a first process that calls ``learn``, and writes nothing.

    Args:
        recipe: as there; its method asks about films.
        films: as there.
        device: as there.
        checkpoint: where the first process has written what both begin with.
        ranks: the processes.

    Raises:
        ConnectionError: another process has ended.
        FloatingPointError, ValueError: as the first process says.
    """
    method, rng = recipe.method, torch.Generator()
    if method is None:
        return
    step, _, synthetic, optimizer = load_checkpoint(checkpoint, method, rng, device)
    real = Jointly(ranks)(recipe.releases, recipe.classes, films, device, rng)
    with ranks.together(device):
        for _ in distill(
            method,
            synthetic,
            real,
            steps=recipe.steps - step,
            rng=rng,
            optimizer=optimizer,
            between=lambda _: ranks.align(synthetic.tensors().values()),
            read_every=_read_every(device),
        ):
            pass


def _read_every(device: torch.device) -> int:
    return READ_EVERY if device.type == "cuda" else 1


def trained_teachers(recipe: Recipe, films: Films, seed: int, device: torch.device) -> Teachers:
    """Returns the recipe's teachers, trained on films; they follow from the seed."""
    count, network = recipe.teachers, recipe.networks["convnet"]
    if not count:
        return Teachers(network, ())  # and no second copy of the films
    rng = generator(seed, "teachers")
    return teachers(network, *standardized(films, device), recipe.classes, count, rng)
