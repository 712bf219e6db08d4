"""Rays through simple bodies: the lengths that X-rays travel in rods and ellipsoids.

Body coordinates are in cm: x to the patient's left (right on the film), y to the feet, z from
front to back; the origin lies at the level of the hila. Rays are parallel to z, so every part is
drawn as the map of the path length, in cm, that a ray spends in it.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
SIDES = (-1, 1)  # the patient's right and left


@dataclass(frozen=True)
class View:
    """How the body lies before the detector.

    Attributes:
        x, y: body coordinates of every fine pixel, (H, W), cm.
        pitch: distance of two fine pixels on the film, cm.
        scale: magnification of body on film.
        angle: tilt in the plane of the film, radian.
        turn: turn about the long axis of the body, radian.
        shift: where the body's origin lies on the film, (2,), cm.
        breath: how deep the breath is held; 0 is ordinary, the unit is 1 cm of diaphragm.
    """

    x: Array
    y: Array
    pitch: float
    scale: float
    angle: float
    turn: float
    shift: Array
    breath: float

    @classmethod
    def draw(cls, rng: np.random.Generator, size: int, pitch: float) -> Self:
        """Draws one pose on a film of ``size`` x ``size`` fine pixels."""
        scale = 1 + 0.01 * rng.standard_normal()
        angle = np.deg2rad(0.9) * rng.standard_normal()
        turn = np.deg2rad(1.5) * rng.standard_normal()
        shift = np.array([0.0, 0.6]) + np.array([0.25, 0.3]) * rng.standard_normal(2)
        breath = 0.4 * rng.standard_normal()
        axis = (np.arange(size) - (size - 1) / 2) * pitch
        film_y, film_x = np.meshgrid(axis - shift[1], axis - shift[0], indexing="ij")
        cos, sin = np.cos(angle), np.sin(angle)
        x = (cos * film_x + sin * film_y) / scale
        y = (-sin * film_x + cos * film_y) / scale
        return cls(x, y, pitch, scale, angle, turn, shift, breath)

    def tube(self, points: Array, radius: Array) -> Array:
        """Returns the path length in a bent round rod, (H, W), cm.

        Args:
            points: its middle line, closely sampled, (n, 3), cm.
            radius: its radius at each point, (n,), cm.
        """
        size = len(self.x)
        x, y, z = points.T
        x = x + np.sin(self.turn) * z
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        middle = (size - 1) / 2
        column = (self.scale * (cos * x - sin * y) + self.shift[0]) / self.pitch + middle
        row = (self.scale * (sin * x + cos * y) + self.shift[1]) / self.pitch + middle
        step = np.gradient(points, axis=0)
        slant = np.linalg.norm(step, axis=1) / np.maximum(np.hypot(step[:, 0], step[:, 1]), 1e-6)
        wide = np.hypot(radius, 0.6 * self.pitch)  # a rod thinner than a pixel is spread over it
        reach = int(np.ceil(wide.max() * self.scale / self.pitch)) + 1
        near = np.arange(-reach, reach + 1)
        rows = np.round(row).astype(int)[:, None, None] + near[:, None]
        columns = np.round(column).astype(int)[:, None, None] + near[None, :]
        square = (rows - row[:, None, None]) ** 2 + (columns - column[:, None, None]) ** 2
        square = square * (self.pitch / self.scale) ** 2
        weight = 2 * np.minimum(slant, 2.2) * (radius / wide) ** 2
        length = weight[:, None, None] * np.sqrt(np.maximum(wide[:, None, None] ** 2 - square, 0))
        rows, columns = np.broadcast_arrays(rows, columns)
        seen = (rows >= 0) & (rows < size) & (columns >= 0) & (columns < size)
        path = np.zeros(size * size)
        np.maximum.at(path, rows[seen] * size + columns[seen], length[seen])
        return path.reshape(size, size)

    def ball(self, centre: Array, radii: Array, tilt: float = 0.0) -> Array:
        """Returns the path length in an ellipsoid, (H, W), cm.

        Args:
            centre: (3,), cm.
            radii: half axes along x, y and z, (3,), cm.
            tilt: turn of the x half axis towards the feet, radian.
        """
        x = self.x - centre[0] - np.sin(self.turn) * centre[2]
        y = self.y - centre[1]
        along = np.cos(tilt) * x + np.sin(tilt) * y
        across = -np.sin(tilt) * x + np.cos(tilt) * y
        inside = 1 - (along / radii[0]) ** 2 - (across / radii[1]) ** 2
        return np.asarray(2 * radii[2] * np.sqrt(np.maximum(inside, 0)))


@dataclass(frozen=True)
class Texture:
    """A smooth random field of mean 0 and variance 1: a sum of plane waves.

    Attributes:
        waves: wave vectors, (n, 2), radian/cm.
        phases: (n,), radian.
    """

    waves: Array
    phases: Array

    @classmethod
    def draw(cls, rng: np.random.Generator, shortest: float, longest: float) -> Self:
        """Draws a field with wave lengths between ``shortest`` and ``longest`` cm."""
        length = rng.uniform(shortest, longest, 24)
        way = rng.uniform(0, 2 * np.pi, 24)
        waves = 2 * np.pi / length * np.stack([np.cos(way), np.sin(way)])
        return cls(waves.T, rng.uniform(0, 2 * np.pi, 24))

    def __call__(self, view: View) -> Array:
        """Returns the field at every fine pixel, (H, W)."""
        edge = self.waves @ np.stack([view.x[:, 0], view.y[:, 0]]) + self.phases[:, None]
        row = np.stack([view.x[0] - view.x[0, 0], view.y[0] - view.y[0, 0]])
        # A wave's phase is linear over the film, so its rows and columns factor.
        total = np.exp(1j * edge).T @ np.exp(1j * (self.waves @ row))
        return np.asarray(total.real * np.sqrt(2 / len(self.phases)))


def line(points: list[tuple[float, float, float]], gap: float = 0.15) -> Array:
    """Samples a smooth line through ``points`` every ``gap`` cm or so, (n, 3)."""
    corners = np.array(points)
    length = np.linalg.norm(np.diff(corners, axis=0), axis=1).sum()
    t = np.linspace(0, len(corners) - 1, int(length / gap) + 2)
    spread = np.linspace(0, len(corners) - 1, len(corners))
    way = np.stack([np.interp(t, spread, column) for column in corners.T], axis=1)
    for _ in range(2 * int(0.8 / gap)):  # rounds the corners, leaves the ends
        way[1:-1] = (way[:-2] + 2 * way[1:-1] + way[2:]) / 4
    return way
