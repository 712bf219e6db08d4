"""The sets that a ranking compares, and the labels that teachers give all of them.

Teachers are trained on the members' films, and no guarantee covers them. Neither they nor their
labels are released: the labels are stored in the private part of the run, the teachers nowhere.
"""

from dataclasses import dataclass, replace
from functools import cache, partial

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from medidd.evaluate import log_probabilities
from medidd.experts.teachers import TEACHING, teachers
from medidd.starts import BASELINES, STARTS, begin
from pipelines.evaluation.noisy_means import class_means
from pipelines.evaluation.utility import Labelled, nets_of
from pipelines.learning.asking import standardized
from pipelines.learning.opened_run import OpenedRun
from pipelines.run.release_file import Release
from pipelines.run.results import release_hash
from pipelines.run.seeds import generator
from pipelines.run.store import Json
from pipelines.workers.pieces import Piece

TEACHERS = 3
"""Networks that label all sets, unless the run names a number with ``--teachers``."""

RELEASE, RANDOM = "synthetic", "random"

HARD, SOFT, RELEASED = "hard", "soft", "released"
"""Labels: of the class, of the teachers, or those that the release has, if they are soft."""


@dataclass(frozen=True)
class Setting:
    """One way to train on one set.

    Attributes:
        row: the set.
        labels: hard, soft or released.
        augmented: whether the training augments.
    """

    row: str
    labels: str
    augmented: bool = True

    @property
    def beside(self) -> "Setting":
        """The same of random films; these have no labels but hard ones and the teachers'."""
        return replace(self, row=RANDOM, labels=SOFT if self.labels == RELEASED else self.labels)

    @property
    def plain(self) -> "Setting":
        """The same without augmentation."""
        return replace(self, augmented=False)

    def __str__(self) -> str:
        return f"{self.row}-{self.labels}-{'augmented' if self.augmented else 'plain'}"


class Sets:
    """The sets that are compared: the release, and the baselines anew for each network."""

    def __init__(self, opened: OpenedRun, release: Release) -> None:
        recipe, device = opened.recipe, opened.frozen.device
        self._opened, self._seed = opened, opened.frozen.seed
        self._films = standardized(opened.patients.members, device)
        self._released = release.synthetic(device)
        each = len(self._released.images) // recipe.classes
        classes = torch.arange(recipe.classes, device=device).repeat_interleave(each)
        self._hard = one_hot(classes, recipe.classes).to(self._released.images)
        private = opened.frozen.budget is not None
        self.rows = (RELEASE, *BASELINES, *(["class-mean"] if private else []))
        self.count = recipe.teachers or TEACHERS
        self.drawn, self.taught = cache(self._drawn), cache(self._taught)

    @property
    def settings(self) -> list[Setting]:
        """All ways to train."""
        soft = not torch.equal(self._released.labels, self._hard)
        own = [Setting(RELEASE, RELEASED)] if soft else []
        usual = [Setting(row, labels) for row in self.rows for labels in (HARD, SOFT)]
        return [one for of in (*usual, *own) for one in (of, of.plain)]

    def labelled(self, setting: Setting, net: int) -> Labelled:
        """Returns the images (n, C, H, W) and labels (n, K) of a setting for a network."""
        images, hard = self.drawn(setting.row, net)
        if setting.labels == RELEASED:
            return images, self._released.labels
        return images, self.taught(setting.row, net) if setting.labels == SOFT else hard

    def _drawn(self, row: str, net: int) -> Labelled:
        if row == RELEASE:
            return self._released.images, self._hard
        rng, recipe = generator(self._seed, "ranking", row, net), self._opened.recipe
        if row == "class-mean":
            return class_means(self._opened, *self._films)(rng)
        made = begin(
            STARTS[row],
            *self._films,
            classes=recipe.classes,
            ipc=recipe.shown,
            rng=rng,
            network=recipe.networks["convnet"],
        )
        return made.images, made.labels

    @property
    def teaching(self) -> list[Piece]:
        """The work of each teacher: to be trained, and to label all sets."""
        folder, about = (
            self._opened.run.private / "worth" / "ranking",
            release_hash(self._opened.run),
        )

        def piece(number: int) -> Piece:
            purpose = f"labels of teacher {number} of {' '.join(self.rows)} {about}"
            return Piece(folder / f"teacher-{number}.json", purpose, partial(self._teach, number))

        return [piece(number) for number in range(self.count)]

    def _teach(self, number: int) -> Json:
        recipe = self._opened.recipe
        network, rng = recipe.networks["convnet"], generator(self._seed, "ranking teacher", number)
        teacher = teachers(network, *self._films, recipe.classes, 1, rng, TEACHING)
        (theta,) = teacher.thetas
        nets = [net for of in nets_of(self._opened.frozen.device) for net in of]

        def labels(row: str, net: int) -> list[list[float]]:
            found = log_probabilities(network, theta, self.drawn(row, net)[0]).exp()
            return [[float(value) for value in of] for of in found.cpu()]

        return {row: [labels(row, net) for net in nets] for row in self.rows}

    def _taught(self, row: str, net: int) -> Tensor:
        each = torch.tensor([piece.result[row][net] for piece in self.teaching])
        return each.mean(0).to(self._hard)
