"""The release file, and its pictures for people.

Images leave as 12-bit levels and labels with three decimals. Finer digits show nothing and could
hide something: no audit reads the low bits of a float32 (privacy.md, G5).
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
from pipelines.run.store import Json, Run, write

LEVELS = 4095
"""Steps of intensity between black and white: 12 bits, as in a film."""


@dataclass(frozen=True)
class Release:
    """What leaves.

    Attributes:
        levels: intensities, 0 to ``LEVELS``, (N, C, H, W), uint16.
        labels: soft labels with three decimals, (N, K), float32.
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

    def synthetic(self, device: torch.device) -> SyntheticSet:
        """Returns S as a recipient has it, with the learned step sizes, if any."""
        sizes = torch.tensor(self.facts.get("step sizes", 0.01), device=device)
        return SyntheticSet(self.images.to(device), self.labels.to(device), sizes.log())

    def to_bytes(self) -> bytes:
        """Returns the file. It has one metadata key: safetensors does not fix the order of two."""
        tensors = {"images": self.levels.contiguous(), "labels": self.labels.contiguous()}
        data: bytes = save(tensors, {"medidd": json.dumps(self.facts, sort_keys=True)})
        return data


def quantized(synthetic: SyntheticSet, facts: Json) -> Release:
    """Rounds S to the digits that may leave."""
    display = NORMALIZATION.display(synthetic.images.detach().cpu()).clamp(0, 1)
    levels = (display * LEVELS).round().to(torch.int32).to(torch.uint16)
    return Release(levels, rounded(synthetic.labels.detach().cpu()), facts)


def step_sizes(synthetic: SyntheticSet) -> float | list[float]:
    """Returns the learned step sizes with four digits."""
    sizes = synthetic.log_lr.detach().double().exp()
    if sizes.ndim == 0:
        return float(f"{sizes.item():.4g}")
    return [float(f"{size:.4g}") for size in sizes.tolist()]


def rounded(labels: torch.Tensor, parts: int = 1000) -> torch.Tensor:
    """Returns labels (n, K) in thousandths, rows still summing to one.

    The largest remainders are rounded up, as when seats are divided among parties. Labels that were
    learned without a constraint need not be probabilities. If one of them is negative, each label
    is rounded by itself.
    """
    thousandths = labels.double() * parts
    if labels.min() < 0:
        return (thousandths.round() / parts).float()
    whole = thousandths.floor()
    missing = (parts - whole.sum(1, keepdim=True)).round()
    rank = (whole - thousandths).argsort(1).argsort(1)
    return ((whole + (rank < missing)) / parts).float()


def read_release(run: Run) -> Release:
    """Reads the release of a run."""
    with safe_open(run.release, "pt") as file:
        facts = json.loads(file.metadata()["medidd"])
        return Release(file.get_tensor("images"), file.get_tensor("labels"), facts)


def png(display: np.ndarray, *, zoom: int = 1) -> bytes:
    """Returns a 16-bit grayscale (H, W) or an 8-bit RGB (3, H, W) picture of display values."""
    if display.ndim == 3 and display.shape[0] == 3:
        picture = Image.fromarray((display.transpose(1, 2, 0) * 255).round().astype(np.uint8))
    else:
        picture = Image.fromarray((display.squeeze() * 65535).round().astype(np.uint16))
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
