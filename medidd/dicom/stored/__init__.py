"""From an object's pixel data to stored values (PS3.3 C.7.6.3), and nothing about how they look."""

import numpy as np
import numpy.typing as npt

Stored = npt.NDArray[np.integer]
"""Stored values of a film, (rows, columns)."""
