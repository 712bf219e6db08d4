"""A denoiser on disk: its configuration and its weights.

Weights hold something of the films they were made from. The folder and its files are readable by
their owner alone and must not leave the hospital.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from medidd.denoisers.autoencoder import Autoencoder, Encoded, held
from medidd.denoisers.denoiser import Denoiser
from medidd.denoisers.diffusion import Diffusion
from medidd.denoisers.latents import Blocks, Latents
from medidd.denoisers.shapes import Shape
from medidd.denoisers.training import Training
from medidd.experts.files import differing, read_record, whole
from medidd.network import Weights

RECORD = "denoiser.json"
"""The file of the record."""

WEIGHTS, AUTOENCODER = "denoiser.safetensors", "autoencoder.safetensors"
"""The files of the averaged weights."""


@dataclass(frozen=True)
class Configuration:
    """How a denoiser is made; with the films, it decides the weights.

    Attributes:
        shape: size of the networks.
        training: of the diffusion model.
        encoding: training of the autoencoder; None where there is none.
        seed: of everything random.
        weights: SHA-256 of the file of public weights that the training begins with; "" for fresh
            ones.
    """

    shape: Shape
    training: Training
    encoding: Training | None = None
    seed: int = 0
    weights: str = ""

    def __post_init__(self) -> None:
        if bool(self.shape.encoder) != (self.encoding is not None):
            raise ValueError("an autoencoder needs a training, and a training an autoencoder")

    def to_json(self) -> dict[str, Any]:
        """Returns a plain dict."""
        return asdict(self) | {"shape": self.shape.to_json()}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "Configuration":
        """Returns the configuration that ``to_json`` wrote."""
        encoding = plain["encoding"] and Training(**plain["encoding"])
        return cls(
            Shape.from_json(plain["shape"]),
            Training(**plain["training"]),
            encoding,
            plain["seed"],
            plain["weights"],
        )

    @property
    def sha256(self) -> str:
        """What tells this configuration from others, in hexadecimal."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Trained:
    """A denoiser on disk, opened where it is first needed.

    Attributes:
        folder: where it was made; None for one with fresh weights, of which only the shape counts.
        configuration: how it is made.
        classes: K.
        channels: C of an image.
        size: height and width in pixels.
        about: what it must have been made for.
    """

    folder: Path | None
    configuration: Configuration
    classes: int
    channels: int
    size: int
    about: Mapping[str, Any]

    @property
    def denoiser(self) -> Denoiser:
        """The model."""
        latents = self._latents
        diffusion = Diffusion(
            self.classes, latents.shape[0], self.configuration.shape, latents.bounded
        )
        return Denoiser(diffusion, latents, self.channels * self.size**2)

    @property
    def autoencoder(self) -> Autoencoder | None:
        """What makes its latents; None if they are blocks of pixels."""
        if self.configuration.encoding is None:
            return None
        return Autoencoder(self.channels, self.size, self.configuration.shape)

    @property
    def _latents(self) -> Latents:
        if self.autoencoder is not None:
            return Encoded(self.autoencoder)
        return Blocks(self.channels, self.size, self.configuration.shape.block)

    @cached_property
    def theta(self) -> Weights:
        """Its averaged weights, those that make latents among them.

        Raises:
            ValueError: there are none, they are damaged, or were made for something else.
        """
        if self.folder is None:
            rng, scale = torch.Generator().manual_seed(0), torch.ones(())
            fresh = self.autoencoder and held(self.autoencoder.init(rng), scale)
            return self.denoiser.diffusion.init(rng) | (fresh or {})
        self.require()
        names = (WEIGHTS,) if self.autoencoder is None else (WEIGHTS, AUTOENCODER)
        found: Weights = {}
        for name in names:
            found |= read_weights(self.folder / name, self.configuration)
        return found

    def require(self) -> None:
        """Checks that the folder holds a finished denoiser that was made for this.

        Raises:
            ValueError: it does not.
        """
        if self.folder is None:
            raise ValueError("the denoiser is not trained; make one with medidd denoiser")
        found = record(self.folder)
        unlike = differing(found["about"], json.loads(json.dumps(self.about)))
        if unlike:
            raise ValueError(
                f"{self.folder}: a denoiser with {', '.join(unlike)}; make one for this run with "
                "medidd denoiser"
            )
        if not (self.folder / WEIGHTS).exists():
            raise ValueError(
                f"{self.folder}: the denoiser is not finished; continue with medidd denoiser "
                "--resume"
            )


def read_configuration(folder: Path) -> Configuration:
    """Returns how the denoiser in a folder is made.

    Raises:
        ValueError: there is none, or its record is damaged.
    """
    return Configuration.from_json(record(folder)["configuration"])


def record(folder: Path) -> dict[str, Any]:
    """Returns what is written down of a denoiser: configuration, about, sha256.

    Raises:
        ValueError: there is none, or it is damaged.
    """
    return read_record(folder, RECORD, "denoiser", "medidd denoiser")


def read_weights(path: Path, configuration: Configuration) -> Weights:
    """Returns the weights in a file.

    Raises:
        ValueError: the file is missing, damaged, or of another configuration.
    """
    from safetensors import SafetensorError, safe_open  # methods need torch alone

    try:
        with safe_open(path, "pt") as file:
            made = file.metadata()["configuration"]
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise ValueError(f"{path}: missing; repeat medidd denoiser, which makes it") from None
    except (SafetensorError, OSError, KeyError, TypeError):
        raise ValueError(f"{path}: damaged; delete it and repeat medidd denoiser") from None
    if made != configuration.sha256:
        raise ValueError(f"{path}: of another denoiser; delete it and repeat medidd denoiser")
    return weights


def write_weights(path: Path, weights: Weights, configuration: Configuration) -> None:
    """Writes what ``read_weights`` returns, whole or not at all."""
    from safetensors.torch import save  # as above

    kept = {name: w.detach().cpu().contiguous() for name, w in weights.items()}
    with whole(path) as partial:
        partial.write_bytes(save(kept, {"configuration": configuration.sha256}))
