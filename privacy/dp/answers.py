"""The answers a run has had: kept, so that no question is ever answered twice with fresh noise.

A second answer to one question would be a second release, and the mean of many such answers is the
answer without noise. So an answer is written whole before anybody sees it, and a run that was
killed gets the same bytes again.
"""

import os
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor


class Answers(Protocol):
    """Noisy answers in the order in which they were given."""

    def __len__(self) -> int:
        """How many there are."""

    def __getitem__(self, number: int) -> Tensor:
        """Returns an answer, (size,), float64."""

    def append(self, answer: Tensor, number: int) -> None:
        """Keeps an answer as that of a number; returns when it is safe."""


class MemorisedAnswers:
    """Answers of a run that is never resumed."""

    def __init__(self) -> None:
        self._kept: list[Tensor] = []

    def __len__(self) -> int:
        return len(self._kept)

    def __getitem__(self, number: int) -> Tensor:
        return self._kept[number]

    def append(self, answer: Tensor, number: int) -> None:
        """Keeps an answer."""
        self._kept[number:] = [answer]


class StoredAnswers:
    """Answers in a folder, one file each, readable by the owner alone.

    Args:
        folder: made if it is not there. It must be kept as long as the run can be resumed.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder

    def __len__(self) -> int:
        return len(list(self._folder.glob("answer-*.npy")))

    def __getitem__(self, number: int) -> Tensor:
        return torch.from_numpy(np.load(self._name(number), allow_pickle=False))

    def append(self, answer: Tensor, number: int) -> None:
        """Writes an answer; raises FileExistsError if another process gave it meanwhile.

        The number is the asker's. Counted here, it would be the next one if another process had
        answered meanwhile, and the answer would be kept as that to another question.
        """
        name = self._name(number)
        written = name.with_suffix(f".{os.getpid()}")
        with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as f:
            np.save(f, answer.numpy())
            f.flush()
            os.fsync(f.fileno())
        try:
            os.link(written, name)  # unlike a rename, this never replaces an answer
        finally:
            written.unlink()
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _name(self, number: int) -> Path:
        return self._folder / f"answer-{number:06d}.npy"
