"""Expert trajectories: the weights of networks while they are trained on the real images.

Cazenavette, Wang, Torralba, Efros & Zhu, CVPR 2022, section 3.1, arXiv:2203.11932.

``Experts`` makes them, ``Trajectories`` draws from them. A method that matches trajectories asks T
nothing more, so that whatever it learns of the patients it learned here: made from a private source
the experts are private, and all that follows is post-processing.

From the authors: plain SGD without momentum, augmented batches, the weights before training and
after each epoch. Ours: every batch holds as many images of one class as of another, because
every class weighs alike in what a source is asked; all of a batch see one augmentation, because the
answer to a batch must be the mean over its images; and the snapshots are copies (on a CPU those of
the authors' code are all the same last weights).

Weights hold something of the films they were made from. The folder and its files are readable by
their owner alone and must not leave the hospital.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medidd.augment import RADIOGRAPH, Operations, draw
from medidd.data import Source, balanced
from medidd.descent import gradient, minus
from medidd.experts.files import (
    RECORD,
    differing,
    expert_file,
    mapped,
    read_record,
    whole,
    write_record,
)
from medidd.network import Network, Several, Weights


@dataclass(frozen=True)
class Experts:
    """How experts are trained.

    Attributes:
        network: f, the network of the students.
        count: experts; more can be added later.
        epochs: snapshots after the first; a student that starts at epoch t at most, and has M
            epochs to match, needs t + M.
        epoch_steps: updates of the weights between two snapshots.
        lr: step size.
        batch: real images per update, all classes together.
        augment: operations that one is drawn from for each batch.
        seed: of all experts; each has a generator of its own.
        dtype: of the snapshots on disk. Half of them rounds a weight by up to 1 part in 2048, which
            matters where an expert moves as little.
    """

    network: Network
    count: int = 10
    epochs: int = 20
    epoch_steps: int = 20
    lr: float = 0.01
    batch: int = 256
    augment: Operations = RADIOGRAPH
    seed: int = 0
    dtype: Literal["float32", "float16"] = "float32"

    def __post_init__(self) -> None:
        if min(self.count, self.epochs, self.epoch_steps, self.batch) < 1:
            raise ValueError("count, epochs, epoch_steps and batch must be 1 or more")
        if not self.lr > 0:
            raise ValueError(f"the step size lr must be above 0, not {self.lr}")

    @property
    def releases(self) -> int:
        """How often all experts together ask T."""
        return self.count * self.epochs * self.epoch_steps

    def make(
        self,
        folder: Path,
        source: Callable[[int, torch.Generator], Source],
        about: Mapping[str, Any],
        like: Tensor | None = None,
        numbers: Iterable[int] | None = None,
    ) -> Iterator[tuple[int, int]]:
        """Makes those experts that are not there yet.

        An expert depends on the seed and its number alone, not on which others are made before it.

        Args:
            folder: where to; made if need be.
            source: gives T for the expert of a number, drawing its batches from the generator that
                it is given. Private ones must share one account: their noise is for ``releases``.
            about: what the experts are for, such as the network's name and width and a digest of
                the films; ``Trajectories`` is asked for the same.
            like: a tensor whose device and dtype the weights take in training.
            numbers: which experts; None for all. Processes that share the work give each its own.

        Yields:
            The number of the expert and the number of the epoch it has finished.

        Raises:
            ValueError: the folder holds experts that were trained otherwise.
            FloatingPointError: an expert diverged.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        self._record(folder, about)
        shape = (self.epochs + 1, sum(map(math.prod, _shapes(self.network).values())))
        for number in range(self.count) if numbers is None else numbers:
            path = expert_file(folder, number)
            if path.exists():
                continue
            with whole(path) as partial:
                rows = np.lib.format.open_memmap(partial, "w+", self.dtype, shape)
                for epoch, theta in enumerate(self._trained(number, source, like)):
                    row = torch.cat([weight.flatten() for weight in theta.values()])
                    row = row.to(getattr(torch, self.dtype))
                    if not row.isfinite().all():
                        raise FloatingPointError(
                            f"expert {number} is not finite after epoch {epoch}; lower lr"
                        )
                    rows[epoch] = row.cpu().numpy()  # a copy, whatever becomes of theta
                    if epoch:
                        yield number, epoch
                rows.flush()

    def _trained(
        self, number: int, source: Callable[[int, torch.Generator], Source], like: Tensor | None
    ) -> Iterator[Weights]:
        """Yields the weights of one expert, before training and after each epoch."""
        digest = hashlib.sha256(f"expert {number} of seed {self.seed}".encode()).digest()
        rng = torch.Generator().manual_seed(int.from_bytes(digest[:7]))
        real = source(number, rng)
        theta = self.network.init(rng, like=like)
        yield theta
        for _ in range(self.epochs):
            for _ in range(self.epoch_steps):
                theta = minus(theta, self.lr, self._gradient(theta, real, rng))
            yield theta

    def _gradient(self, theta: Weights, real: Source, rng: torch.Generator) -> Weights:
        """Returns the gradient of the loss on one batch, the mean over classes."""
        omega = draw(rng, self.augment)

        def seen(x: Tensor, y: Tensor) -> Weights:
            return gradient(self.network, theta, omega(x), y)

        return balanced(real, seen, size=max(self.batch // real.classes, 1))

    def _record(self, folder: Path, about: Mapping[str, Any]) -> None:
        """Writes down what the experts are, and sees that those already there are the same."""
        training = {of.name: getattr(self, of.name) for of in fields(self) if of.name != "network"}
        record = {"about": about, "training": training, "weights": _shapes(self.network)}
        record = json.loads(json.dumps(record))
        if (folder / RECORD).exists():
            found = read_record(folder)
            any_count = {"count": found["training"]["count"]}
            unlike = differing(found["about"], record["about"])
            unlike += differing(found["training"], record["training"] | any_count)
            unlike = unlike or differing(found["weights"], record["weights"])
            if unlike:
                told = f"holds experts with {', '.join(unlike)}"
                raise ValueError(f"{folder}: {told}; delete them or give another folder")
        write_record(folder, record)


@dataclass(frozen=True)
class Trajectories:
    """Experts on disk, opened where they are first needed.

    Attributes:
        folder: where ``Experts`` made them.
        network: f, the network of the students.
        about: what they must have been made for.
    """

    folder: Path
    network: Network
    about: Mapping[str, Any]

    @property
    def sha256(self) -> str:
        """What tells these experts from others, in hexadecimal; all are opened and checked.

        Raises:
            ValueError: there are none, they are damaged, or they were made for something else.
        """
        return self._opened[0]

    def require(self, epochs: int) -> None:
        """Opens and checks all experts.

        Raises:
            ValueError: as for ``sha256``, or they have fewer than ``epochs`` epochs.
        """
        have = len(self._opened[1][0]) - 1
        if epochs > have:
            raise ValueError(
                f"{self.folder}: the experts have {have} epochs, and {epochs} are needed; lower "
                "last_start or make longer ones with medidd experts"
            )

    def draw(
        self, rng: torch.Generator, *, last_start: int, apart: int, like: Tensor
    ) -> tuple[Weights, Weights]:
        """Returns the weights of one expert at an epoch, and some epochs later.

        Args:
            rng: draws the expert, and the epoch from 0 to ``last_start``, that included.
            last_start: T+.
            apart: M, epochs between the two.
            like: a tensor whose device and dtype the weights take.

        Raises:
            ValueError: as for ``sha256``, or the experts have too few epochs.
        """
        self.require(last_start + apart)
        _, experts, shapes = self._opened
        number = int(torch.randint(len(experts), (), generator=rng))
        start = int(torch.randint(last_start + 1, (), generator=rng))
        first, last = (
            _weights(torch.from_numpy(experts[number][row].copy()).to(like), shapes)
            for row in (start, start + apart)
        )
        return first, last

    @cached_property
    def _opened(self) -> tuple[str, list[NDArray[np.floating[Any]]], dict[str, list[int]]]:
        found, shapes = read_record(self.folder), _shapes(self.network)
        unlike = differing(found["about"], json.loads(json.dumps(self.about)))
        unlike = unlike or differing(found["weights"], shapes)
        if unlike:
            told = f"experts with {', '.join(unlike)}"
            raise ValueError(
                f"{self.folder}: {told}; make experts for this run with medidd experts"
            )
        of = found["training"]
        shape = (of["epochs"] + 1, sum(map(math.prod, shapes.values())))
        paths = [expert_file(self.folder, number) for number in range(of["count"])]
        experts = [mapped(path, shape, of["dtype"]) for path in paths]
        return found["sha256"], experts, shapes


def _shapes(network: Network) -> dict[str, list[int]]:
    if isinstance(network, Several):
        raise ValueError("experts are of one network; name one, not several")
    theta = network.init(torch.Generator())
    return {name: list(weight.shape) for name, weight in theta.items()}


def _weights(row: Tensor, shapes: Mapping[str, list[int]]) -> Weights:
    """Returns the weights of a row (P,)."""
    parts = torch.split(row, [math.prod(shape) for shape in shapes.values()])
    return {name: part.view(shapes[name]) for name, part in zip(shapes, parts, strict=True)}
