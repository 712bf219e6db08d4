"""Gaussian noise from the operating system. There is no seed, so nobody can draw it again.

A seeded generator is no choice here: whoever learns the seed can subtract the noise.

A number drawn by the textbook recipe can also be given away by its last bits, because only some
floating-point numbers can come out (Mironov, CCS 2012; for the Gaussian: Jin et al., S&P 2022,
arXiv:2112.05307). Two things stand against this. Each number is the sum of four independent draws,
halved: to find the draws behind a value takes a search whose length is exponential in their number
(Holohan & Braghin, ESORICS 2021, arXiv:2107.10138). And ``mechanism.py`` rounds to a grid that is
far coarser than these last bits.
"""

import os

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Array = NDArray[np.float64]

DRAWS = 4
"""Independent draws behind each number."""

CHUNK = 2**18
"""Numbers made at once, to bound the memory."""


def uniform(n: int) -> Array:
    """Returns n uniform numbers strictly between 0 and 1: the middles of 2^53 equal intervals.

    The last step rounds to 53 bits, so from 1/2 on every second middle moves by 2^-54. The largest
    middle would round to 1 and becomes the largest number below it.
    """
    bits = np.frombuffer(os.urandom(8 * n), dtype=np.uint64) >> np.uint64(11)
    return np.minimum((bits.astype(np.float64) + 0.5) * 2.0**-53, 1 - 2.0**-53)


def gaussian(n: int) -> Array:
    """Returns n independent standard normal numbers, float64."""
    made = np.empty(n)
    for start in range(0, n, CHUNK):
        part = made[start : start + CHUNK]
        draws = ndtri(uniform(DRAWS * len(part))).reshape(DRAWS, -1)
        part[:] = draws.sum(0) / np.sqrt(DRAWS)
    return made
