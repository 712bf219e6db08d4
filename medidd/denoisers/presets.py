"""How denoisers are made unless told otherwise, by the machine and the size of the images."""

from medidd.denoisers.shapes import SHAPES, SIZES
from medidd.denoisers.trained import Configuration
from medidd.denoisers.training import Training

PRESETS = tuple(SHAPES)
"""Their names: for two cores, and for a GPU."""

_TRAININGS = {
    "cpu": Training(steps=1000, batch=64, lr=2e-3, kept=0.995),
    "gpu": Training(steps=20_000, batch=128, lr=3e-4, kept=0.9995),
}

_ENCODINGS = {
    "cpu": Training(steps=400, batch=16, lr=1e-3, kept=0.99, hidden=0.0),
    "gpu": Training(steps=10_000, batch=32, lr=3e-4, kept=0.999, hidden=0.0),
}


def usual(preset: str, size: int, *, seed: int = 0) -> Configuration:
    """Returns how a denoiser is made.

    Args:
        preset: one of ``PRESETS``.
        size: height and width of images in pixels; other sizes than ``SIZES`` get the shape of the
            next larger one.
        seed: of everything random.

    Raises:
        ValueError: there is no such preset, or the images are too large, or cannot be halved.
    """
    if preset not in SHAPES:
        raise ValueError(f"unknown preset '{preset}'; there are {', '.join(PRESETS)}")
    larger = [known for known in SIZES if known >= size]
    if not larger:
        raise ValueError(f"a denoiser draws images of at most {SIZES[-1]} px, not {size}")
    shape = SHAPES[preset][larger[0]]
    if size % shape.least:
        raise ValueError(f"a denoiser draws images of a multiple of {shape.least} px, not {size}")
    encoding = _ENCODINGS[preset] if shape.encoder else None
    return Configuration(shape, _TRAININGS[preset], encoding, seed)
