"""The fair comparison: the release against baselines of its size, with equal labels and training.

DD-Ranking (``ranking_scores``): soft labels and augmentation help random films, too. So each set is
trained on with hard labels and with those of the same teachers, with augmentation and without. All
sets have as many images of the same size as the release, and so as many bytes.

Three things differ from the authors' code. Accuracy is the balanced accuracy, because classes of
films are rarely of one size. Every set is trained on as a recipient of the release trains, instead
of with a step size sought for each set. And no iterate is chosen by its score on the test patients.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medidd.data import NORMALIZATION
from medidd.evaluate import log_probabilities, train, train_together
from medidd.network import Weights
from medidd.scores.films import METRICS, Interval, replicated
from pipelines.evaluation.ranked_sets import HARD, RELEASE, SOFT, Sets, Setting
from pipelines.evaluation.ranking_scores import augmentation_robust, label_robust
from pipelines.evaluation.utility import nets_of, recipient, said, said_of_all_films
from pipelines.learning.opened_run import OpenedRun
from pipelines.run.progress import Progress
from pipelines.run.release_file import Release
from pipelines.run.results import kept, release_hash
from pipelines.run.seeds import derived, generator
from pipelines.run.store import Json
from pipelines.workers.pieces import Piece, shared

Floats = NDArray[np.float64]

_AUC, _ACCURACY = METRICS.index("auc"), METRICS.index("balanced_accuracy")


def ranking(
    opened: OpenedRun, release: Release, name: str, *, beside: bool = False
) -> Generator[Progress, None, Json]:
    """Compares the release with baselines of its size; the generator's value is the comparison.

    ``utility`` must have judged the architecture before: what it says of all films counts here.

    Args:
        opened: the run; it stores what networks say.
        release: the release.
        name: the recipient's architecture.
        beside: whether this process helps another one: it only trains networks.
    """
    sets, device, seed = Sets(opened, release), opened.frozen.device, opened.frozen.seed
    network, test = opened.recipe.networks[name], opened.patients.test
    seen = NORMALIZATION.standardize(test.images).to(device)
    folder, about = opened.run.private / "worth" / name, release_hash(opened.run)

    def classified(theta: Weights, x: Tensor) -> Tensor:
        return log_probabilities(network, theta, x).exp()

    def piece(setting: Setting, nets: Sequence[int]) -> Piece:
        def predicted() -> Json:
            usual = recipient(opened.frozen)
            how = usual if setting.augmented else replace(usual, augment=None)
            # Each way to train begins with the same weights, so that only the way differs.
            rngs = [generator(seed, "ranking", name, net) for net in nets]
            data = [sets.labelled(setting, net) for net in nets]
            if len(nets) > 1:
                thetas = train_together(network, data, how, rngs)
            else:
                thetas = [train(network, *of, how, rng) for of, rng in zip(data, rngs, strict=True)]
            return said([partial(classified, theta) for theta in thetas], seen)

        # Teachers label what was drawn for this release, so all sets are about it.
        numbers, by = " ".join(map(str, nets)), sets.count if setting.labels == SOFT else 0
        purpose = f"ranking networks {numbers} of {setting} {by} {about}"
        return Piece(folder / f"ranking-{setting}-{nets[0]}.json", purpose, predicted)

    pieces = {of: [piece(of, nets) for nets in nets_of(device)] for of in sets.settings}
    training = [one for of in pieces.values() for one in of]
    for stage, work in (("train teachers", sets.teaching), (f"rank with {name}", training)):
        yield Progress(stage, 0, len(work))
        # Others go through them from the first on, and the command from the last.
        for number, done in enumerate(shared(work if beside else work[::-1])):
            yield Progress(stage, number + 1, len(work), done.path.stem)
    if beside:
        return {}
    patients = np.array(test.patients)

    def judged(predicted: Sequence[Tensor]) -> Floats:
        """Returns means and replicates, (1 + B, metrics)."""
        bootstrap = derived(seed, "bootstrap") % 2**32
        means, sampled = replicated(predicted, test.labels, patients, seed=bootstrap)
        return np.concatenate([means[None], sampled])

    def compared() -> Json:
        said_of = {
            of: judged([torch.tensor(net) for one in made for net in one.result["probabilities"]])
            for of, made in pieces.items()
        }
        return _comparison(said_of, judged(said_of_all_films(opened, name)))

    path, purpose = folder / "ranking.json", f"ranking by {sets.count} teachers {about}"
    return kept(path, purpose, compared) | {
        "teachers": sets.count,
        "images per class": opened.recipe.shown,
    }


def _comparison(said_of: Mapping[Setting, Floats], full: Floats) -> Json:
    """Returns all figures and scores.

    Args:
        said_of: means and replicates of the metrics, (1 + B, metrics) each.
        full: those of networks trained on all films.
    """
    accuracy = {of: values[:, _ACCURACY] for of, values in said_of.items()}
    own = [of for of in said_of if of.row == RELEASE and of.augmented]
    rows = dict.fromkeys(of.row for of in said_of if of.row != RELEASE)
    syn_hard = accuracy[Setting(RELEASE, HARD)]
    all_films = full[:, _ACCURACY]
    scores, against = {}, []
    for of in own:
        random, plain, random_plain = of.beside, of.plain, of.beside.plain
        scores[of.labels] = {
            "HLR": _interval(all_films - syn_hard),
            "IOR": _interval(accuracy[of] - accuracy[random]),
            "LRS": _interval(label_robust(all_films, syn_hard, accuracy[of], accuracy[random])),
            "ARS": _interval(
                augmentation_robust(
                    accuracy[of], accuracy[random], accuracy[plain], accuracy[random_plain]
                )
            ),
        }
        for row in rows:
            other = replace(random, row=row)
            against.append(
                {
                    "row": row,
                    "labels": of.labels,
                    "release": float(accuracy[of][0]),
                    "baseline": float(accuracy[other][0]),
                    "difference": _interval(accuracy[of] - accuracy[other]),
                }
            )
    return {
        "settings": {str(of): _figures(values) for of, values in said_of.items()},
        "full": _figures(full),
        "scores": scores,
        "against": against,
    }


def _figures(values: Floats) -> Json:
    return {
        "balanced_accuracy": _interval(values[:, _ACCURACY]),
        "auc": _interval(values[:, _AUC]),
    }


def _interval(values: Floats) -> Json:
    """Returns a figure with the 95 % interval of its replicates, (1 + B,)."""
    low, high = np.nanquantile(values[1:], [0.025, 0.975])
    return asdict(Interval(float(values[0]), float(low), float(high)))
