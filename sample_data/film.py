"""One exposure: from the rays behind the patient to the numbers in a file."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from anatomy import Anatomy
from numpy.typing import NDArray
from rays import Array, View
from scipy.ndimage import gaussian_filter

SIZE = 96  # pixels along a side
FIELD = 33.0  # side of the film, cm
PITCH = FIELD / SIZE  # cm
FINE = 2  # rays along a pixel's side
BITS = 12


@dataclass(frozen=True)
class Exposure:
    """What the radiographer and the detector add.

    Attributes:
        kvp: tube voltage, kV.
        mas: tube current times time, mAs.
        scatter: scattered beside primary quanta behind the grid.
        blur: spread of focal spot and detector, cm.
        gain: stored values per unit of the logarithm of intensity.
        sharpen: weight of the detail that the reader's software adds.
        window: shift of the window's centre and its width beside the measured ones.
    """

    kvp: float
    mas: float
    scatter: float
    blur: float
    gain: float
    sharpen: float
    window: tuple[float, float]

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        """Draws an ordinary technique for a chest film."""
        return cls(
            kvp=float(rng.integers(100, 131)),
            mas=float(np.round(2.5 * np.exp(0.3 * rng.standard_normal()), 2)),
            scatter=rng.uniform(0.4, 0.9),
            blur=PITCH * rng.uniform(0.25, 0.5),
            gain=rng.uniform(640, 720),
            sharpen=rng.uniform(0.2, 0.7),
            window=(0.03 * rng.standard_normal(), rng.uniform(0.97, 1.12)),
        )


@dataclass(frozen=True)
class Film:
    """A film ready for storing, bone high.

    Attributes:
        values: (SIZE, SIZE), 0 .. 4095.
        centre: window centre.
        width: window width.
    """

    values: NDArray[np.uint16]
    centre: int
    width: int


def expose(anatomy: Anatomy, exposure: Exposure, rng: np.random.Generator) -> Film:
    """Takes one film of a patient: pose, Beer-Lambert, scatter, blur, noise, log detector."""
    view = View.draw(rng, FINE * SIZE, PITCH / FINE)
    harder = exposure.kvp / 115
    rays = anatomy.attenuation(view, soft=harder**-0.3, bone=harder**-0.9)
    primary = np.exp(-rays).reshape(SIZE, FINE, SIZE, FINE).mean(axis=(1, 3))
    scattered = exposure.scatter * gaussian_filter(primary, 4.0 / PITCH, mode="nearest")
    reached = gaussian_filter(primary + scattered, exposure.blur / PITCH, mode="nearest")
    quanta = 20_000 * exposure.mas  # of one open pixel; few, so that grain shows at this size
    noise = np.sqrt(reached / quanta) * rng.standard_normal(reached.shape)
    signal = -np.log(np.maximum(reached + noise, 1e-4) * exposure.mas / 2.5)
    return develop(signal, exposure)


def develop(signal: Array, exposure: Exposure) -> Film:
    """Sharpens the logarithmic signal, (SIZE, SIZE), quantises it and measures a window."""
    detail = signal - gaussian_filter(signal, 1.2 / PITCH, mode="nearest")
    top = 2**BITS - 1
    values = 400 + exposure.gain * (signal + exposure.sharpen * detail)
    values = np.clip(np.round(values), 0, top).astype(np.uint16)
    low, high = np.percentile(values[20:-12, 22:-22], [1, 98])
    shift, stretch = exposure.window
    width = stretch * (high - low)
    return Film(values, round((low + high) / 2 + shift * width), round(width))
