"""After how many epochs the samples of a denoiser are copies: one line of JSON per look, resumable.

    python -m benchmarks.memorisation --data kermany_pneumonia_128_dev.npz --to memory.jsonl

``--data`` holds ``images`` (n, H, W) uint8, ``labels`` and ``patient_ids``. Members are drawn at
random; controls are 300 other patients. The denoiser is trained on the members' films by the preset
for two cores, but for its number of updates. Now and then samples are drawn from its averaged
weights, and asked:

- A5 and A5b: whether they are copies of films, as in an audit;
- how much nearer the nearest member is than the nearest of as many controls: the median over
  samples of the ratio of two distances, 1 if samples are no nearer to members;
- A1: how well minus the denoising loss tells members from controls (AUC, no null releases).
"""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate, one_hot

from medidd.data import NORMALIZATION, RealSet
from medidd.denoisers.denoiser import Denoiser
from medidd.denoisers.presets import usual
from medidd.denoisers.trained import Trained
from medidd.denoisers.training import State, denoising, trained
from medidd.machine.allocator import keep_memory
from medidd.methods.minimax import Minimax
from medidd.network import Weights
from pipelines.auditing.explained_films import explains
from privacy import Evidence, Films, Release, load_policy
from privacy.attacks.nearest import copies
from privacy.attacks.set_test import set_test
from privacy.statistics.scores import Scores, auc

CONTROLS = 300
"""Patients whose films the denoiser never sees."""

IPC = 10
"""Samples of a class in a look."""


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--to", type=click.Path(path_type=Path), required=True, help="JSON lines.")
@click.option("--patients", "sizes", type=int, multiple=True, default=(200, 800, 2058))
@click.option("--epochs", type=int, default=200, help="At most.")
@click.option("--every", type=int, default=20, help="Epochs between two looks.")
@click.option("--size", type=int, default=32, help="Pixels.")
@click.option("--guidance", type=float, default=Minimax.guidance)
def main(
    data: Path,
    to: Path,
    sizes: tuple[int, ...],
    epochs: int,
    every: int,
    size: int,
    guidance: float,
) -> None:
    """Makes and judges the denoisers."""
    torch.set_num_threads(1)
    keep_memory()
    known = (
        {json.loads(line)["patients"] for line in to.read_text().splitlines()}
        if to.exists()
        else ()
    )
    for patients in sizes:
        if patients in known:
            continue
        members, controls = drawn(np.load(data), patients, size)
        for line in looks(members, controls, epochs, every, size, guidance):
            said = json.dumps({"data": data.stem, "size": size, "patients": patients, **line})
            with to.open("a") as file:
                file.write(said + "\n")
            click.echo(said)


def drawn(held: "np.lib.npyio.NpzFile", patients: int, size: int) -> tuple[Films, Films]:
    """Returns films of so many members, and of the controls."""
    pixels = torch.from_numpy(held["images"]).float()[:, None] / 255
    small = interpolate(pixels, size=(size, size), mode="bilinear", antialias=True)
    films = Films(
        small, torch.from_numpy(held["labels"].astype("int64")), held["patient_ids"].astype(str)
    )
    order = torch.randperm(len(films.ids), generator=torch.Generator().manual_seed(0)).tolist()
    people = [films.ids[place] for place in order]
    return films.of(set(people[CONTROLS : CONTROLS + patients])), films.of(set(people[:CONTROLS]))


def looks(
    members: Films, controls: Films, epochs: int, every: int, size: int, guidance: float
) -> Iterator[dict[str, object]]:
    """Trains a denoiser and yields what is found now and then."""
    x, y = NORMALIZATION.standardize(members.images), members.labels
    classes = int(y.max()) + 1
    made = usual("cpu", size)
    of_epoch = len(x) / made.training.batch
    how = replace(made.training, steps=round(epochs * of_epoch))
    model = Trained(None, replace(made, training=how), classes, 1, size, {}).denoiser
    rng = torch.Generator().manual_seed(0)
    state = State.begun(model.diffusion.init(rng), how, rng)
    losses = denoising(model, {}, RealSet(x, y, classes, rng), how)
    begun, due = time.process_time(), float(every)
    for loss in trained(state, how, losses):
        if state.step < round(due * of_epoch):
            continue
        spent = time.process_time() - begun
        yield {
            "epochs": round(due),
            "updates": state.step,
            "loss": round(loss, 4),
            "process_seconds": round(spent),
            **judged(model, state.average, members, controls, classes, size, guidance),
        }
        due += every


def judged(
    model: Denoiser,
    theta: Weights,
    members: Films,
    controls: Films,
    classes: int,
    size: int,
    guidance: float,
) -> dict[str, object]:
    """Returns what the audits make of samples, and of the denoiser itself."""
    labels = torch.arange(classes).repeat_interleave(IPC)
    rng = torch.Generator().manual_seed(1)
    noise = torch.randn(len(labels), 1, size, size, generator=rng)
    steps = Minimax.sampling_steps
    images = model.sample(theta, noise, labels, guidance=guidance, steps=steps)
    shown = NORMALIZATION.display(images).clamp(0, 1)
    release = Release(shown, one_hot(labels, classes).float())
    evidence, policy = Evidence(release, members, controls), load_policy()
    found = [
        audit(evidence, policy, torch.Generator().manual_seed(0)) for audit in (copies, set_test)
    ]
    everybody = evidence.everybody
    said = explains(model, theta, 0)(everybody.images, one_hot(everybody.labels, classes).float())
    scores, n, strata = everybody.per_patient(said), len(members.ids), everybody.strata
    told = auc(Scores(scores[:n], scores[n:], strata[:n], strata[n:]))
    return {
        **{one.audit: f"{one.verdict.value} {one.value:g}" for one in found},
        "nearer": round(nearer(shown, members, controls), 3),
        "auc_of_loss": round(told, 3),
    }


def nearer(shown: Tensor, members: Films, controls: Films) -> float:
    """Returns the median ratio of a sample's distances to the nearest member and control.

    As many films of either are looked at, for among more films the nearest one is nearer.
    """
    few = min(len(members), len(controls))
    ends = []
    for films in (members, controls):
        order = torch.randperm(len(films), generator=torch.Generator().manual_seed(2))[:few]
        ends.append(torch.cdist(shown.flatten(1), films.images[order].flatten(1)).amin(1))
    return float((ends[0] / ends[1]).median())


if __name__ == "__main__":
    main()
