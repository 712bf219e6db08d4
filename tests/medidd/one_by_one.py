"""A source as a private one must be: it looks at every image alone."""

import torch
from torch import Tensor

from medidd.data import Question


class OneByOne:
    """Answers as a private source must: from the values for single images."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.classes = int(labels.max()) + 1
        self.asked = 0
        self._images, self._labels = images, labels

    def means(self, questions: list[Question], *, size: int) -> list:
        self.asked += 1
        return [self.answer(question, size) for question in questions]

    def answer(self, question: Question, size: int) -> object:
        rows = torch.isin(self._labels, torch.tensor(question.classes)).nonzero().squeeze(1)
        assert size >= len(rows)
        y = torch.eye(self.classes, dtype=self._images.dtype)[self._labels]
        return averaged([question.f(self._images[row, None], y[row, None]) for row in rows])


def averaged(answers: list) -> object:
    """The mean of tensors, or of tuples or dicts of them."""
    first = answers[0]
    if isinstance(first, dict):
        return {key: averaged([one[key] for one in answers]) for key in first}
    if isinstance(first, tuple):
        return tuple(averaged(list(parts)) for parts in zip(*answers, strict=True))
    return torch.stack(answers).mean(0).detach()
