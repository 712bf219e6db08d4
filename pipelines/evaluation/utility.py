"""Utility of the release: networks trained on it, compared with networks trained on baselines.

What every network says of the test films is stored, so a run that was stopped trains none of them
again, and two processes share them.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict, replace
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_curve
from torch import Tensor

from medidd.augment import RADIOGRAPH
from medidd.data import NORMALIZATION
from medidd.distill import Classifies
from medidd.evaluate import NOISE, RECIPIENT, Training, log_probabilities, train, train_together
from medidd.experts.teachers import TEACHING, Teachers
from medidd.network import Weights
from medidd.scores.films import score
from medidd.starts import BASELINES, STARTS, begin
from pipelines.evaluation.elsewhere import Elsewhere
from pipelines.evaluation.noisy_means import class_means
from pipelines.evaluation.votes import votes
from pipelines.learning.job import FrozenJob
from pipelines.learning.learn import trained_teachers
from pipelines.learning.opened_run import OpenedRun
from pipelines.run.progress import Progress
from pipelines.run.release_file import Release
from pipelines.run.results import kept, release_hash
from pipelines.run.seal import read_sealed
from pipelines.run.seeds import derived, generator
from pipelines.run.store import Json
from pipelines.workers.pieces import Piece, shared
from privacy.release import Films

NETWORKS = 3
"""Networks per row; the fewest that show how much a result depends on the initial weights."""

_OF_RELEASE = ("synthetic", "own")
"""Rows that are about the release; the others do not change with it."""

Labelled = tuple[Tensor, Tensor]
"""Standardised images (n, C, H, W) and soft labels (n, K)."""

Classifier = Callable[[Tensor], Tensor]
"""Standardised images (n, C, H, W) to class probabilities (n, K)."""

Maker = Callable[[Sequence[torch.Generator]], list[Classifier]]
"""Trains a classifier for each generator, which draws everything random."""


def recipient(frozen: FrozenJob) -> Training:
    """Returns how a recipient trains on the run's release, and on baselines beside it."""
    return replace(RECIPIENT, noise=0.0 if frozen.budget is None else NOISE)


def utility(
    opened: OpenedRun,
    release: Release | None,
    name: str,
    *,
    beside: bool = False,
    elsewhere: Elsewhere | None = None,
    stage: str = "train networks",
) -> Generator[Progress, None, Json]:
    """Judges the release, each baseline and the full data; the generator's value is the rows.

    Args:
        opened: the run; it stores the finished rows.
        release: the release to judge; None to train only the networks that do not need it.
        name: the recipient's architecture.
        beside: whether this process helps another one: it only trains networks, and judges none.
        elsewhere: films on which the same networks are judged, too; each row then has them under
            "elsewhere".
        stage: what people are told is being done.
    """
    recipe, device, seed = opened.recipe, opened.frozen.device, opened.frozen.seed
    network, classes = recipe.networks[name], recipe.classes
    method = recipe.method
    members, test = opened.patients.members, opened.patients.test
    images = NORMALIZATION.standardize(members.images).to(device)
    labels = members.labels.to(device)
    seen = NORMALIZATION.standardize(test.images).to(device)

    @cache
    def known() -> Teachers:
        return trained_teachers(recipe, members, seed, device)

    def baseline(start: str) -> Callable[[torch.Generator], Labelled]:
        def of(rng: torch.Generator) -> Labelled:
            drawn = begin(
                STARTS[start],
                images,
                labels,
                classes=classes,
                ipc=recipe.shown,
                rng=rng,
                network=network,
            )
            drawn = known().taught(drawn)
            return drawn.images, drawn.labels

        return of

    all_films = (images, torch.eye(classes, device=device)[labels])

    def on(how: Training, data: Callable[[torch.Generator], Labelled]) -> Maker:
        def made(rngs: Sequence[torch.Generator]) -> list[Classifier]:
            # Each network gets a new draw, so that one lucky draw does not decide the baseline.
            sets = [data(rng) for rng in rngs]
            if len(rngs) > 1:
                thetas = train_together(network, sets, how, rngs)
            else:
                thetas = [train(network, *of, how, rng) for of, rng in zip(sets, rngs, strict=True)]
            return [partial(classified, theta) for theta in thetas]

        return made

    def classified(theta: Weights, x: Tensor) -> Tensor:
        return log_probabilities(network, theta, x).exp()

    how = recipient(opened.frozen)
    rows = {"full": on(TEACHING, lambda _: all_films)}  # first, for it takes longest
    rows |= {start: on(how, baseline(start)) for start in BASELINES}
    if opened.frozen.budget is not None:
        rows["class-mean"] = on(how, class_means(opened, images, labels))
    if release is not None:
        released = release.synthetic(device)
        rows["synthetic"] = on(how, lambda _: (released.images, released.labels))
        if method is not None and isinstance(method, Classifies) and name == "convnet":
            own = partial(method.classifier, released)
            rows["own"] = lambda rngs: [own(rng) for rng in rngs]

    ballots = votes(opened.patients)
    folder, of_release = opened.run.private / "worth" / name, release_hash(opened.run)

    def about(row: str) -> str:
        return of_release if row in _OF_RELEASE else ""

    def trained(row: str, nets: Sequence[int]) -> list[Classifier]:
        return rows[row]([generator(seed, "evaluate", name, row, net) for net in nets])

    def piece(row: str, nets: Sequence[int]) -> Piece:
        path, purpose = folder / f"{row}-{nets[0]}.json", _purpose(row, nets, about(row))
        return Piece(path, purpose, lambda: said_here(trained(row, nets)))

    def said_here(networks: Sequence[Classifier]) -> Json:
        found = said(networks, seen)
        if ballots is not None:
            found["members"] = [ballots.of_members(of(images)) for of in networks]
        return found

    def piece_elsewhere(here: Piece, row: str, nets: Sequence[int], there: Elsewhere) -> Piece:
        def both() -> Json:
            networks = trained(row, nets)
            kept(here.path, here.purpose, lambda: said_here(networks))
            return said(networks, NORMALIZATION.standardize(there.films.images).to(device))

        path = folder / there.name / here.path.name
        return Piece(path, f"{here.purpose} on {there.content}", both)

    several = nets_of(device)
    pieces = {row: [piece(row, nets) for nets in several] for row in rows}
    others = elsewhere and {
        row: [
            piece_elsewhere(here, row, nets, elsewhere)
            for here, nets in zip(pieces[row], several, strict=True)
        ]
        for row in rows
    }
    # Others go through them from the first on, and the command from the last.
    order = [one for of_row in (others or pieces).values() for one in of_row]
    yield Progress(stage, 0, len(order))
    for number, done in enumerate(shared(order if beside else order[::-1])):
        yield Progress(stage, number + 1, len(order), f"on {done.path.stem}")
    if beside:
        return {}

    def judged(of_row: Sequence[Piece], films: Films) -> Json:
        results = [of.result for of in of_row]
        predicted = [torch.tensor(net) for of in results for net in of["probabilities"]]
        found = _row(predicted, films, derived(seed, "bootstrap"))
        if ballots is not None:
            members = [net for of in results for net in of["members"]]
            found["metrics"] |= ballots.judged(predicted, members, derived(seed, "bootstrap"))
        return found

    found = {}
    for row in rows:
        path, purpose = folder / f"{row}.json", f"row {row} {about(row)}"
        found[row] = kept(path, purpose, partial(judged, pieces[row], test))
        if elsewhere and others:
            path, purpose = folder / elsewhere.name / path.name, f"{purpose} on {elsewhere.content}"
            there = kept(path, purpose, partial(judged, others[row], elsewhere.films))
            found[row] |= {"elsewhere": there}
    return found


def networks_at_once(device: torch.device) -> int:
    """Returns how many networks of a row are trained at once: on a GPU, which would wait, all."""
    return NETWORKS if device.type == "cuda" else 1


def nets_of(device: torch.device) -> list[Sequence[int]]:
    """Returns the numbers of the networks of a row, by which of them are trained at once."""
    each = networks_at_once(device)
    return [range(NETWORKS)[first : first + each] for first in range(0, NETWORKS, each)]


def said(networks: Sequence[Classifier], seen: Tensor) -> Json:
    """Returns what networks say of standardised films (n, C, H, W), to be stored."""
    return {"probabilities": [of(seen).cpu().tolist() for of in networks]}


def said_of_all_films(opened: OpenedRun, name: str) -> list[Tensor]:
    """Returns the probabilities (n, K) of the networks trained on all films, stored by ``utility``.

    Raises:
        Stop: they are missing.
    """
    folder = opened.run.private / "worth" / name
    stored = [
        read_sealed(folder / f"full-{nets[0]}.json", _purpose("full", nets, ""), "evaluate again")
        for nets in nets_of(opened.frozen.device)
    ]
    return [torch.tensor(net) for one in stored for net in one["probabilities"]]


def _purpose(row: str, nets: Sequence[int], about: str) -> str:
    return f"networks {' '.join(map(str, nets))} of {row} {about}"


def _row(predicted: list[Tensor], test: Films, seed: int) -> dict[str, Any]:
    mean, patients = torch.stack(predicted).mean(0), np.array(test.patients)
    intervals = score(predicted, test.labels, patients, seed=seed % 2**32)
    together = score([mean], test.labels, patients, seed=seed % 2**32)
    metrics = intervals | {"auc_of_mean": together["auc"]}
    return {
        "metrics": {metric: asdict(interval) for metric, interval in metrics.items()},
        "roc": roc(mean, test.labels),
    }


def told(how: Training, width: int) -> Json:
    """Returns a recipient's training for the facts of a release, as its ``train.py`` reads it.

    Args:
        how: the training.
        width: filters per block of the ConvNet.
    """
    augment = [] if how.augment is None else list(RADIOGRAPH)
    return how.numbers | {"augment": augment, "networks": NETWORKS, "width": width}


def roc(probabilities: Tensor, labels: Tensor) -> list[list[list[float]]]:
    """Returns the curves of a prediction (n, K): [[false, true positive rates], ...].

    One for two classes, else one per class against the rest.
    """
    classes = probabilities.shape[1]
    curves = []
    for label in [1] if classes == 2 else range(classes):
        fpr, tpr, _ = roc_curve(labels.numpy() == label, probabilities[:, label].numpy())
        curves.append([fpr.round(4).tolist(), tpr.round(4).tolist()])
    return curves
