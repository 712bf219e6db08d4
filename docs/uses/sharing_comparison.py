"""The rows of the comparison: what a collaborator can train from, judged on held-out patients.

Every row of a fold is judged on the same patients of all three sites, who are in no training set of
that fold: neither in a distillation nor in the training of a network on films.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any

import numpy as np
import torch
from sharing_federated import Labelled, by_films, rounds, sent_by_a_site, widest
from sharing_releases import METHODS, Scale, joined, recipe_of, release, united
from sharing_sites import CLASSES, SITES
from torch import Tensor
from torch.nn.functional import one_hot

from medidd.architectures import convnet
from medidd.augment import draw
from medidd.data import NORMALIZATION
from medidd.evaluate import NOISE, RECIPIENT, Training, log_probabilities, train
from medidd.network import Network, Weights
from medidd.scores.films import score
from medidd.starts import STARTS, begin
from pipelines.run.release_file import Release
from privacy.release import Films

Classifier = Callable[[Tensor], Tensor]
"""Standardised images (n, C, H, W) to class probabilities (n, K)."""

Predicted = dict[str, Tensor]
"""What a classifier says of the judged films of each site, (n, K)."""

PARTS = (*METHODS, "random films", "films", "federated", "sites alike")
"""What is made together."""


@dataclass(frozen=True)
class Fold:
    """The films of all sites with one fold held out.

    Attributes:
        learned: films to learn from, by site.
        judged: films of the held-out patients, by site.
        seed: number of the fold, and of all that is random but the noise of a guarantee.
    """

    learned: dict[str, Films]
    judged: dict[str, Films]
    seed: int


class Rows:
    """Makes and judges the rows of a fold."""

    def __init__(self, fold: Fold, scale: Scale) -> None:
        self._fold, self._scale = fold, scale
        self._f = convnet(len(CLASSES), 1, scale.size, width=scale.width)
        self._films = {
            name: (
                NORMALIZATION.standardize(films.images),
                one_hot(films.labels, len(CLASSES)).float(),
            )
            for name, films in fold.learned.items()
        }
        self._seen = {
            name: NORMALIZATION.standardize(films.images) for name, films in fold.judged.items()
        }
        self._how = Training(scale.film_steps, scale.film_batch, augment=draw)
        self._begun = time.process_time()

    def lines(self, part: str) -> Iterator[dict[str, Any]]:
        """Yields a line per row and site of one of ``PARTS``."""
        if part in METHODS:
            yield from self._of_releases(part)
        elif part == "random films":
            yield from self._line("random films: union", self._of_random_films())
        elif part == "films":
            yield from self._line("films: pooled", [self._pooled(list(self._films.values()))])
        elif part == "federated":
            yield from self._federated()
        else:
            yield from self._sites_alike()

    def _of_releases(self, name: str) -> Iterator[dict[str, Any]]:
        noise = 0.0 if METHODS[name] is None else NOISE
        sent = {
            site.name: release(
                name, self._fold.learned[site.name], site.patients, self._scale, self._fold.seed
            )
            for site in SITES
        }
        making = round(time.process_time() - self._begun, 1)
        union = self._nets(united(list(sent.values())), noise)
        yield from self._line(f"{name}: union", union, making=making)
        alone = [self._nets(united([one]), noise) for one in sent.values()]
        for site, nets in zip(sent, alone, strict=True):
            yield from self._line(f"{name}: {site} alone", nets)
        yield from self._line(f"{name}: ensemble of the three", ensembles(alone))
        own = [[self._own(name, one)] for one in sent.values()]
        yield from self._line(f"{name}: ensemble of own classifiers", ensembles(own))

    def _own(self, name: str, released: Release) -> Predicted:
        method: Any = recipe_of(name, self._scale, private=False).method
        s = released.synthetic(torch.device("cpu"))
        own = method.classifier(s, torch.Generator().manual_seed(self._fold.seed))
        return self._predicted(own)

    def _of_random_films(self) -> list[Predicted]:
        """Returns networks trained on as many films as there are synthetic images, each anew."""

        def drawn(site: str, rng: torch.Generator) -> Labelled:
            s = begin(
                STARTS["random"],
                self._films[site][0],
                self._fold.learned[site].labels,
                classes=len(CLASSES),
                ipc=self._scale.ipc,
                rng=rng,
                network=self._f,
            )
            return s.images, s.labels

        return [
            self._net(joined([drawn(site, rng) for site in self._films]), 0.0, rng)
            for rng in self._generators()
        ]

    def _pooled(self, sites: list[Labelled]) -> Predicted:
        """Returns a network trained on the films of all sites."""
        return self._averaged(self._f, [joined(sites)], [1.0], 1)[0]

    def _federated(self) -> Iterator[dict[str, Any]]:
        """Yields FedAvg; the visits of its only round are the sites' trainings alone."""
        most = len(CLASSES) * self._scale.ipc * self._scale.size**2
        sites = list(self._films.values())
        shares = by_films(sites)
        once, alone = self._averaged(self._f, sites, shares, 1)
        for site, net in zip(self._films, alone, strict=True):
            yield from self._line(f"films: {site} alone", [net])
        yield from self._line("films: ensemble of the three", ensembles([[net] for net in alone]))
        yield from self._line("FedAvg, 1 round", [once], sent=sent_by_a_site(self._f, 1))
        for count in (1, 4):
            width = widest(len(CLASSES), self._scale.size, count, most)
            f = convnet(len(CLASSES), 1, self._scale.size, width=width)
            row = f"FedAvg, bytes of a release, rounds: {count}"
            about = {"sent": sent_by_a_site(f, count), "width": width, "most": most}
            yield from self._line(row, [self._averaged(f, sites, shares, count)[0]], **about)
        many, _ = self._averaged(self._f, sites, shares, self._scale.rounds)
        sent = sent_by_a_site(self._f, self._scale.rounds)
        yield from self._line(f"FedAvg, {self._scale.rounds} rounds", [many], sent=sent)

    def _sites_alike(self) -> Iterator[dict[str, Any]]:
        """Yields rows in which every site counts as much as in a union of releases."""
        sites = list(self._films.values())
        shares = [1 / len(sites)] * len(sites)
        largest = max(len(images) for images, _ in sites)
        repeated = [joined([site] * round(largest / len(site[0]))) for site in sites]
        yield from self._line("films: pooled, sites alike", [self._pooled(repeated)])
        for count in (1, self._scale.rounds):
            row = f"FedAvg, {count} round{'s' * (count > 1)}, sites alike"
            net, _ = self._averaged(self._f, sites, shares, count)
            yield from self._line(row, [net], sent=sent_by_a_site(self._f, count))

    def _averaged(
        self, f: Network, sites: list[Labelled], shares: list[float], count: int
    ) -> tuple[Predicted, list[Predicted]]:
        """Returns the common network after the last round, and those that the sites sent then."""
        rng = torch.Generator().manual_seed(self._fold.seed)
        *_, last = rounds(f, sites, shares, count, self._how, rng)
        return self._network(f, last.common), [self._network(f, one) for one in last.sent]

    def _nets(self, data: Labelled, noise: float) -> list[Predicted]:
        return [self._net(data, noise, rng) for rng in self._generators()]

    def _net(self, data: Labelled, noise: float, rng: torch.Generator) -> Predicted:
        how = replace(RECIPIENT, steps=self._scale.steps, noise=noise)
        return self._network(self._f, train(self._f, *data, how, rng))

    def _generators(self) -> list[torch.Generator]:
        first = 1000 * self._fold.seed
        return [torch.Generator().manual_seed(first + net) for net in range(self._scale.nets)]

    def _network(self, f: Network, theta: Weights) -> Predicted:
        return self._predicted(lambda seen: log_probabilities(f, theta, seen).exp())

    def _predicted(self, classifier: Classifier) -> Predicted:
        return {site: classifier(seen) for site, seen in self._seen.items()}

    def _line(self, row: str, nets: Sequence[Predicted], **about: Any) -> Iterator[dict[str, Any]]:
        """Yields the row at each site, with the process seconds since the row before."""
        seconds = round(time.process_time() - self._begun, 1)
        for site, films in self._fold.judged.items():
            predicted, of = [net[site] for net in nets], np.array(films.patients)
            auc = score(predicted, films.labels, of, seed=self._fold.seed)["auc"]
            mean = [torch.stack(predicted).mean(0)]
            together = score(mean, films.labels, of, seed=self._fold.seed)["auc"]
            yield {
                "seed": self._fold.seed,
                "row": row,
                "site": site,
                "auc": [round(value, 4) for value in astuple(auc)],
                "auc_of_mean": round(together.mean, 4),
                "seconds": seconds,
                **about,
            }
        self._begun = time.process_time()


def ensembles(of_sites: Sequence[Sequence[Predicted]]) -> list[Predicted]:
    """Returns the mean predictions of the first networks of all sites, of the second, and so on."""
    return [
        {site: torch.stack([net[site] for net in nets]).mean(0) for site in nets[0]}
        for nets in zip(*of_sites, strict=True)
    ]
