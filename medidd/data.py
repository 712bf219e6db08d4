"""The two sets of the field: S, which is learned, and T, which must not leave the hospital.

A method never touches a patient's image. It puts a ``Question`` to a ``Source``: the mean of a
function over a batch. The source decides how to answer: ``RealSet`` answers plainly, a private
source with clipping, noise and an account. Both are possible because of one contract: ``f`` of a
batch is the mean of ``f`` over its single images. For this reason no network here keeps batch
statistics.

All that a step needs is asked in one call, because a private source clips and pays per call.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, Protocol, TypeVar, cast, runtime_checkable

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

Statistic = TypeVar("Statistic")


@dataclass(frozen=True)
class Normalization:
    """Display values in [0, 1] to the standardised values that networks see, and back.

    The constants are public. A mean over the cohort would be a statistic of its patients.

    Attributes:
        mean: display value that becomes 0; one for all channels, or one per channel.
        std: display values per standardised unit; one for all channels, or one per channel.
        low: least display value that an image may have.
        high: greatest display value; with infinite limits images are unbounded, as in the papers.
    """

    mean: float | tuple[float, ...] = 0.5
    std: float | tuple[float, ...] = 0.25
    low: float = 0.0
    high: float = 1.0

    def standardize(self, pixels: Tensor) -> Tensor:
        """Returns standardised values for display values (..., C, H, W)."""
        return (pixels - _channels(self.mean, pixels)) / _channels(self.std, pixels)

    def display(self, images: Tensor) -> Tensor:
        """Returns display values (..., C, H, W); they may lie outside low and high."""
        return images * _channels(self.std, images) + _channels(self.mean, images)

    def bounded(self, images: Tensor) -> Tensor:
        """Returns the nearest images whose display values lie between low and high."""
        return images.clamp(*self.limits(images))

    def limits(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the least and the greatest values that such images (..., C, H, W) may have.

        Both are of shape (), or (C, 1, 1) if channels differ.
        """
        low, high = (self.standardize(images.new_tensor(limit)) for limit in (self.low, self.high))
        return low, high


def _channels(value: float | tuple[float, ...], like: Tensor) -> float | Tensor:
    return like.new_tensor(value)[:, None, None] if isinstance(value, tuple) else value


_MODEL = "model."

NORMALIZATION = Normalization()
"""The normalisation that is used everywhere; every release states it."""


@dataclass
class SyntheticSet:
    """S: the few learned images and their labels, class after class.

    The tensors that the method's optimizer holds are learned; there are no flags.

    Attributes:
        images: standardised intensities, (K * ipc, C, H, W); rows c*ipc to (c+1)*ipc start as
            images of class c.
        labels: soft labels, (K * ipc, K); rows sum to one.
        log_lr: logarithm of the step size for training networks on S, (), or of one step size for
            each step of a program, (T,).
        normalization: what the images' intensities mean, and their limits.
        model: weights of the model that S is drawn from, by name, where a method learns that; it
            is never released.
    """

    images: Tensor
    labels: Tensor
    log_lr: Tensor
    normalization: Normalization = NORMALIZATION
    model: dict[str, Tensor] = field(default_factory=dict)

    @property
    def classes(self) -> int:
        """K, the number of classes."""
        return self.labels.shape[1]

    @property
    def ipc(self) -> int:
        """Images per class."""
        return len(self.images) // self.classes

    def of_class(self, label: int) -> tuple[Tensor, Tensor]:
        """Returns images (ipc, C, H, W) and labels (ipc, K) that started as class ``label``."""
        rows = slice(label * self.ipc, (label + 1) * self.ipc)
        return self.images[rows], self.labels[rows]

    def with_lr(self, lr: float) -> "SyntheticSet":
        """Returns S with a step size, or each of its step sizes, of ``lr``."""
        return replace(self, log_lr=torch.full_like(self.log_lr, lr).log())

    def tensors(self) -> dict[str, Tensor]:
        """Returns all tensors by name."""
        own = {"images": self.images, "labels": self.labels, "log_lr": self.log_lr}
        return own | {f"{_MODEL}{name}": weight for name, weight in self.model.items()}

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> "SyntheticSet":
        """Returns the set whose tensors these are."""
        model = {n.removeprefix(_MODEL): t for n, t in tensors.items() if n.startswith(_MODEL)}
        return cls(tensors["images"], tensors["labels"], tensors["log_lr"], model=model)


@dataclass(frozen=True)
class Question(Generic[Statistic]):
    """The mean of a function over real images of some classes.

    Attributes:
        f: takes images (n, C, H, W) and one-hot labels (n, K) and returns tensors, alone or in
            tuples, lists or dicts. Its value for a batch must be the mean of its values for the
            single images.
        classes: whose images; a question about several is about all of their images together.
        bound: a public bound on the Euclidean norm of ``f`` of any single image, all its tensors
            together; None if there is none.
        weight: how much of a private source's clip this question gets beside the others.
    """

    f: Callable[[Tensor, Tensor], Statistic]
    classes: tuple[int, ...]
    bound: float | None = None
    weight: float = 1.0


class Source(Protocol):
    """What a method may ask about the real images T."""

    @property
    def classes(self) -> int:
        """K, the number of classes."""

    def means(self, questions: Sequence[Question[Statistic]], *, size: int) -> list[Statistic]:
        """Returns the answer to each question, in their order.

        All that a step needs is asked at once. A private source counts one call as one release,
        whose noise is shared by all questions.

        Args:
            questions: what is asked.
            size: images to draw for each question; classes with fewer give all their images.
        """


@runtime_checkable
class Balances(Protocol):
    """A source that need not answer class by class what is asked about all of them."""

    def balanced(self, f: Callable[[Tensor, Tensor], Statistic], *, size: int) -> Statistic:
        """Returns what the function of that name does."""


def balanced(real: Source, f: Callable[[Tensor, Tensor], Statistic], *, size: int) -> Statistic:
    """Returns the mean over classes of the means of ``f``, asked in one call.

    Every class weighs alike, however many images it has. A source that ``Balances`` passes images
    of several classes to ``f`` at once; any other gets one question per class.

    Args:
        real: T.
        f: see ``Question``.
        size: images per class.
    """
    if isinstance(real, Balances):
        return real.balanced(f, size=size)
    answers = real.means([Question(f, (label,)) for label in range(real.classes)], size=size)
    return cast("Statistic", tree_map(lambda *parts: torch.stack(parts).mean(0), *answers))


CHUNK = 2**17
"""Pixels that ``RealSet`` passes to a function at once on a CPU: 32 images of 64 x 64. What a
network makes of more pixels does not fit the processor's caches, and needs more memory."""


def at_once(images: Tensor) -> int:
    """Returns how many images (n, C, H, W) a network should see at once, at least one.

    These are ``CHUNK`` pixels on a CPU, and 32 times as many on a GPU.
    """
    pixels = CHUNK * (32 if images.is_cuda else 1)
    return max(pixels // (images.shape[2] * images.shape[3]), 1)


class RealSet:
    """T, answered plainly: the mean over a batch drawn without replacement. It ``Balances``.

    Args:
        images: standardised intensities, (n, C, H, W).
        labels: hard labels, (n,), int64.
        classes: K.
        rng: the generator that batches are drawn from.
        chunk: images given to a function at once; by default ``at_once``.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        classes: int,
        rng: torch.Generator,
        chunk: int | None = None,
    ) -> None:
        self._chunk = chunk or at_once(images)
        self._images = images
        self._labels = torch.nn.functional.one_hot(labels, classes).to(images.dtype)
        self._of_class = [(labels.cpu() == label).nonzero()[:, 0] for label in range(classes)]
        self._rng = rng
        self.classes = classes

    def means(self, questions: Sequence[Question[Statistic]], *, size: int) -> list[Statistic]:
        """Returns each ``f`` of a fresh batch; see ``Source.means``."""
        return [
            self._answer(question.f, [(self._drawn(question.classes, size), 1.0)])
            for question in questions
        ]

    def balanced(self, f: Callable[[Tensor, Tensor], Statistic], *, size: int) -> Statistic:
        """Returns the mean over classes of the means of ``f``; see the function of that name.

        The batches are those that ``means`` draws for one class after another. Classes that give
        equally many images are one batch, in which every image weighs alike.
        """
        batches: dict[int, list[Tensor]] = {}
        for label in range(self.classes):
            rows = self._drawn((label,), size)
            batches.setdefault(len(rows), []).append(rows)
        return self._answer(
            f, [(torch.cat(alike), len(alike) / self.classes) for alike in batches.values()]
        )

    def _drawn(self, classes: tuple[int, ...], size: int) -> Tensor:
        """Returns the rows of a fresh batch of images of some classes, on the CPU."""
        if len(classes) == 1:
            rows = self._of_class[classes[0]]
        else:
            rows = torch.cat([self._of_class[label] for label in sorted(set(classes))]).sort()[0]
        return rows[torch.randperm(len(rows), generator=self._rng)[:size]]

    def _answer(
        self, f: Callable[[Tensor, Tensor], Statistic], batches: Sequence[tuple[Tensor, float]]
    ) -> Statistic:
        """Returns the mean of ``f`` over each batch of rows, added up with its weight."""
        total = None
        # Nothing in T is learned. If f needs a gradient, f enables grad itself.
        with torch.no_grad():
            for batch, weight in batches:
                for rows in torch.split(batch.to(self._images.device), self._chunk):
                    part = f(self._images[rows], self._labels[rows])
                    share = weight * len(rows) / len(batch)
                    total = (
                        tree_map(lambda value, w=share: w * value, part)
                        if total is None
                        else tree_map(lambda old, new, w=share: old + w * new, total, part)
                    )
        return cast("Statistic", total)
