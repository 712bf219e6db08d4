"""How the answers to several questions lie in one vector per patient, and in which units.

For each film, with C the clip::

    tau e_class , and for every question j about this class: s w_j (f_j(film) - m_j) / r_j

The centre m_j and the radius r_j of a question come from its public bound, or from pictures of
nobody (``phantoms.py``). tau and s are such that a film within the radius has norm C at most. From
the noisy sum M over patients follows, at no further cost::

    mean_j = m_j + r_j / (s w_j) M_j / max(noisy count of its classes, one standard deviation of it)

Under the floor a count is noise, and dividing by it would blow up the answer or turn its sign.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten


class Question(Protocol):
    """What is asked; ``medidd.data.Question`` is one."""

    @property
    def f(self) -> Callable[[Tensor, Tensor], Any]:
        """Takes images (n, C, H, W) and one-hot labels (n, K), returns a pytree of tensors."""

    @property
    def classes(self) -> tuple[int, ...]:
        """Whose images."""

    @property
    def bound(self) -> float | None:
        """Public bound of the norm of f of a single image, if there is one."""

    @property
    def weight(self) -> float:
        """Share of the clip, relative to the other questions."""


class Layout:
    """Where each question lies in the vector, and in which units.

    Args:
        questions: asked together.
        classes: K.
        phantoms: public pictures, standardised, (m, C, H, W).
        clip: C.

    Attributes:
        size: numbers in the vector; the first K are the counts of the classes.
    """

    def __init__(
        self, questions: Sequence[Question], classes: int, phantoms: Tensor, clip: float
    ) -> None:
        eye = torch.eye(classes, dtype=phantoms.dtype, device=phantoms.device)
        with torch.no_grad():
            self._asked = [Asked(question, phantoms, eye) for question in questions]
        of_class = [[a for a in self._asked if c in a.question.classes] for c in range(classes)]
        # The best share of counts in the clip, for answers of norm 1 in d numbers: the noise of
        # the counts adds 1 / tau^2 to the squared error, that of the answers d / (1 - tau^2).
        numbers = max(1, max(sum(a.size for a in asked) for asked in of_class))
        share = 1 / (1 + math.sqrt(numbers))
        self._count = clip * math.sqrt(share)
        weights = max(math.hypot(*(a.question.weight for a in asked)) for asked in of_class)
        self._scale = clip * math.sqrt(1 - share) / weights
        self._classes = classes
        self.size = classes + sum(a.size for a in self._asked)

    def vector(
        self,
        batch: Callable[[tuple[int, ...]], tuple[Tensor, Tensor]],
        shares: dict[int, float],
    ) -> Tensor:
        """Returns a patient's vector, (size,), float64.

        Args:
            batch: gives the patient's images and labels of some classes.
            shares: the share of the patient's films in each class that he has.
        """
        v = torch.zeros(self.size, dtype=torch.float64)
        for label, share in shares.items():
            v[label] = self._count * share
        batches: dict[tuple[int, ...], tuple[Tensor, Tensor]] = {}
        start = self._classes
        for asked in self._asked:
            classes = asked.question.classes
            share = sum(shares.get(label, 0.0) for label in classes)
            if share:
                if classes not in batches:
                    batches[classes] = batch(classes)
                v[start : start + asked.size] = asked.value(*batches[classes]) * (
                    share * self._unit(asked)
                )
            start += asked.size
        return v

    def means(self, answer: Tensor, noise: float) -> list[Any]:
        """Returns the questions' means from a noisy vector (size,) with this noise per number."""
        means, start = [], self._classes
        for asked in self._asked:
            classes = list(asked.question.classes)
            floor = noise * math.sqrt(len(classes))
            count = max(float(answer[classes].sum()), floor) / self._count
            part = answer[start : start + asked.size]
            means.append(asked.unflatten(part / (self._unit(asked) * count)))
            start += asked.size
        return means

    def _unit(self, asked: "Asked") -> float:
        return self._scale * asked.question.weight


class Asked:
    """A question with the shape, the centre and the radius of its answers.

    Args:
        question: what is asked.
        phantoms: public pictures, (m, C, H, W). They take the question's classes in turn.
        eye: one-hot labels, (K, K).

    Attributes:
        question: what is asked.
        size: numbers in an answer.
    """

    def __init__(self, question: Question, phantoms: Tensor, eye: Tensor) -> None:
        self.question = question
        if not (question.weight > 0 and question.classes):
            raise ValueError("a question needs a weight above 0 and a class")
        if question.bound is not None:
            phantoms = phantoms[:1]  # only for the shape
        values = []
        for i in range(len(phantoms)):
            label = question.classes[i % len(question.classes)]
            leaves, spec = tree_flatten(question.f(phantoms[i : i + 1], eye[label : label + 1]))
            values.append(_flat(leaves))
        self._like: list[Tensor] = leaves
        self._spec: TreeSpec = spec
        self.size = len(values[0])
        if question.bound is not None:
            self._centre, self._radius = torch.zeros_like(values[0]), question.bound
        else:
            rows = torch.stack(values)
            self._centre = rows.mean(0)
            self._radius = float((rows - self._centre).norm(dim=1).max()) or 1.0

    def value(self, images: Tensor, labels: Tensor) -> Tensor:
        """Returns (f - m) / r of a batch, (size,), float64."""
        leaves, _ = tree_flatten(self.question.f(images, labels))
        return (_flat(leaves) - self._centre) / self._radius

    def unflatten(self, value: Tensor) -> Any:
        """Returns m + r value in the shape, dtype and place of the question's answers."""
        flat = self._centre + self._radius * value
        parts = torch.split(flat, [leaf.numel() for leaf in self._like])
        leaves = [part.reshape(a.shape).to(a) for part, a in zip(parts, self._like, strict=True)]
        return tree_unflatten(leaves, self._spec)


def _flat(leaves: Sequence[Tensor]) -> Tensor:
    """Returns all numbers as one vector in double precision, on the CPU."""
    return torch.cat([leaf.detach().reshape(-1) for leaf in leaves]).double().cpu()
