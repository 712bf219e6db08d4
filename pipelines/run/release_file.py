"""The release file, and its pictures for people.

Images leave as 8-bit levels and labels in hundredths. Finer digits are worth nothing measurable and
could hide something (privacy.md, G5; benchmarks/digits.py).
"""

import io
import json
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save

from medidd.data import NORMALIZATION, SyntheticSet
from medidd.methods import METHODS
from pipelines.run.errors import Exit, Stop
from pipelines.run.store import Json, Run, write
from privacy.release import PROBABILITIES, Digits

LEVELS = PROBABILITIES.levels[-1]
"""Steps of intensity between black and white."""

FILM_CLASSES = "film classes"
"""Fact of a release whose films were cut: which classes films have. Others are only of patches."""


@dataclass(frozen=True)
class Release:
    """What leaves.

    Attributes:
        levels: intensities, 0 to ``LEVELS``, (N, C, H, W), uint8.
        labels: soft labels in hundredths, (N, K), float32.
        facts: method and its fields, ipc, classes, normalisation, seed, versions, step sizes.
    """

    levels: torch.Tensor
    labels: torch.Tensor
    facts: Json

    @property
    def display(self) -> torch.Tensor:
        """Display values in [0, 1], (N, C, H, W), float32."""
        return self.levels.to(torch.float32) / LEVELS

    @property
    def images(self) -> torch.Tensor:
        """Standardised intensities, (N, C, H, W), float32."""
        return NORMALIZATION.standardize(self.display)

    @property
    def drawn(self) -> bool:
        """Whether a model that was trained on films drew the images."""
        return hasattr(METHODS.get(self.facts["method"]), "origin")

    def synthetic(self, device: torch.device) -> SyntheticSet:
        """Returns S as a recipient has it, with the learned step sizes, if any."""
        sizes = torch.tensor(self.facts.get("step sizes", 0.01), device=device)
        return SyntheticSet(self.images.to(device), self.labels.to(device), sizes.log())

    def to_bytes(self) -> bytes:
        """Returns the file. It has one metadata key: safetensors does not fix the order of two."""
        tensors = {"images": self.levels.contiguous(), "labels": self.labels.contiguous()}
        data: bytes = save(tensors, {"medidd": json.dumps(self.facts, sort_keys=True)})
        return data


def quantized(synthetic: SyntheticSet, facts: Json, digits: Digits = PROBABILITIES) -> Release:
    """Rounds S to the digits that may leave."""
    display = NORMALIZATION.display(synthetic.images.detach().cpu()).clamp(0, 1)
    levels = diffused(display, LEVELS).to(torch.uint8)
    return Release(levels, rounded(synthetic.labels.detach().cpu(), digits), facts)


def diffused(display: torch.Tensor, levels: int) -> torch.Tensor:
    """Returns display values (n, C, H, W) as whole levels; neighbours make up for what is rounded.

    Floyd & Steinberg, Proc. Soc. Inf. Disp. 17 (1976). Values on a level stay. The error ends in
    fine structure. Rounded to the nearest level, it is in coarse structure too, from which features
    are computed: the own classifier of ``moments`` lost .002 of its AUC (benchmarks/digits.py).
    """
    left = display.double() * levels
    found = torch.empty_like(left)
    height, width = left.shape[2:]
    row = torch.arange(height)
    # Nobody within a front, two columns earlier per row, passes anything on to another.
    for front in range(width + 2 * (height - 1)):
        r = row[(front - 2 * row >= 0) & (front - 2 * row < width)]
        c = front - 2 * r
        found[:, :, r, c] = left[:, :, r, c].round().clamp(0, levels)
        # Bounded, because black and white take nothing in.
        error = (left[:, :, r, c] - found[:, :, r, c]).clamp(-0.5, 0.5)
        for down, right, share in ((0, 1, 7), (1, -1, 3), (1, 0, 5), (1, 1, 1)):
            kept = (r + down < height) & (c + right >= 0) & (c + right < width)
            left[:, :, r[kept] + down, c[kept] + right] += error[:, :, kept] * share / 16
    return found


def step_sizes(synthetic: SyntheticSet) -> float | list[float]:
    """Returns the learned step sizes with four digits."""
    sizes = synthetic.log_lr.detach().double().exp()
    if sizes.ndim == 0:
        return float(f"{sizes.item():.4g}")
    return [float(f"{size:.4g}") for size in sizes.tolist()]


def rounded(labels: torch.Tensor, digits: Digits = PROBABILITIES) -> torch.Tensor:
    """Returns labels (n, K) as finely as they may leave.

    Rows of probabilities still sum to one: the largest remainders are rounded up, as when seats are
    divided among parties. Other labels are each rounded by themselves, after all of them are drawn
    towards 1 / K by one common factor, so that none is out of bounds. What kernel regression
    predicts from them shrinks by that factor, and no order of scores changes.
    """
    exact, parts = labels.double(), digits.parts
    if digits.bound is None:
        whole = (exact * parts).floor()
        missing = (parts - whole.sum(1, keepdim=True)).round()
        rank = (whole - exact * parts).argsort(1).argsort(1)
        return ((whole + (rank < missing)) / parts).float()
    middle = 1 / labels.shape[1]
    away = exact - middle
    too_far = torch.maximum(away / (digits.bound - middle), -away / (digits.bound + middle))
    within = away / too_far.max().clamp(min=1) + middle
    return ((within * parts).round() / parts + 0.0).float()  # and no -0


def read_release(run: Run) -> Release:
    """Reads the release of a run.

    Raises:
        Stop: its images are in other levels, as earlier versions wrote them.
    """
    with safe_open(run.release, "pt") as file:
        facts = json.loads(file.metadata()["medidd"])
        found = Release(file.get_tensor("images"), file.get_tensor("labels"), facts)
    if found.levels.dtype != torch.uint8:
        raise Stop(
            f"{run.path}: made by another version of medidd, in finer levels; make it again with "
            "medidd distill",
            Exit.USAGE,
        )
    return found


def png(display: np.ndarray, *, zoom: int = 1) -> bytes:
    """Returns an 8-bit grayscale (1, H, W) or RGB (3, H, W) picture of display values."""
    samples = (display * LEVELS).round().astype(np.uint8)
    color = samples.ndim == 3 and len(samples) == 3
    picture = Image.fromarray(samples.transpose(1, 2, 0) if color else samples.squeeze())
    if zoom > 1:
        size = (picture.width * zoom, picture.height * zoom)
        picture = picture.resize(size, Image.Resampling.NEAREST)
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def preview_names(release: Release) -> list[str]:
    """Returns a file name per image: the class it began as, and its number in that class."""
    ipc, classes = release.facts["ipc"], release.facts["classes"]
    return [f"class{row // ipc}_{row % ipc}.png" for row in range(ipc * len(classes))]


def write_release(run: Run, release: Release) -> None:
    """Writes the release file and one picture per image."""
    for name, image in zip(preview_names(release), release.display.numpy(), strict=True):
        write(run.previews / name, png(image))
    write(run.release, release.to_bytes())
