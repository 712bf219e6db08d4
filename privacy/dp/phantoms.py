"""Pictures of nobody: noise with the spectrum of natural images.

The power of photographs and radiographs falls with the square of the spatial frequency (Field,
J. Opt. Soc. Am. A 1987). Noise of this spectrum is cloudy, like a film without anatomy. It tells
how large an answer about a film is likely to be without looking at one.
"""

import torch
from torch import Tensor

SEED = 12
MEAN, STD = 0.5, 0.2
"""Of the display values, before they are kept within [0, 1]."""


def phantoms(n: int, size: int, channels: int = 1) -> Tensor:
    """Returns n pictures, always the same, as display values (n, C, H, W) in [0, 1].

    Args:
        n: number of pictures.
        size: H = W, pixels.
        channels: C, all alike.
    """
    rng = torch.Generator().manual_seed(SEED)
    white = torch.randn(n, 1, size, size, generator=rng)
    rows, columns = torch.fft.fftfreq(size)[:, None], torch.fft.rfftfreq(size)
    frequency = (rows.square() + columns.square()).sqrt()
    frequency[0, 0] = torch.inf  # no mean
    spectrum = torch.fft.rfft2(white) / frequency
    pictures: Tensor = torch.fft.irfft2(spectrum, s=(size, size))
    pictures = MEAN + STD * pictures / pictures.std(dim=(2, 3), keepdim=True).clamp_min(1e-6)
    return pictures.clamp(0, 1).expand(n, channels, size, size).clone()
