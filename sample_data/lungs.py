"""What lies inside the lungs: branching vessels, and the patches of pneumonia."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from rays import SIDES, Array, Texture, View


@dataclass(frozen=True)
class Opacity:
    """One patch of pneumonia: air of the lung replaced by fluid.

    Attributes:
        centre: (2,), cm.
        radii: half axes of the patch, (2,), cm.
        tilt: radian.
        depth: fluid on the ray through its middle, cm.
        patches: how unevenly it is filled.
    """

    centre: Array
    radii: Array
    tilt: float
    depth: float
    patches: Texture

    def fluid(self, view: View) -> Array:
        """Returns the fluid on each ray, (H, W), cm."""
        x, y = view.x - self.centre[0], view.y - self.centre[1] + 0.4 * view.breath
        along = (np.cos(self.tilt) * x + np.sin(self.tilt) * y) / self.radii[0]
        across = (-np.sin(self.tilt) * x + np.cos(self.tilt) * y) / self.radii[1]
        fill = np.clip(1 + 0.35 * self.patches(view), 0, 2)
        return np.asarray(self.depth * fill * np.exp(-((along**2 + across**2) ** 1.3)))


@dataclass(frozen=True)
class Vessels:
    """The branching vessels of one lung.

    Attributes:
        points: middle lines of all branches, (n, 3), cm.
        radius: (n,), cm.
    """

    points: Array
    radius: Array

    @classmethod
    def draw(cls, rng: np.random.Generator, hilum: Array, side: int, thick: float) -> Self:
        """Grows six stems from the hilum, each of which forks five times."""
        points, radius = [], []
        ways = np.deg2rad([-80, -42, -8, 25, 52, 78]) + 0.16 * rng.standard_normal(6)
        buds = [(hilum, way, 0.36 * thick * rng.uniform(0.75, 1.15), 3.6) for way in ways]
        for _ in range(6):
            grown = []
            for start, way, r, length in buds:
                long = length * rng.uniform(0.7, 1.3)
                t = np.linspace(0, 1, int(long / 0.16) + 2)
                bend = way + 0.35 * rng.standard_normal() * t
                step = np.stack([side * np.cos(bend), np.sin(bend), rng.normal(0, 0.6) + 0 * t])
                branch = start + long * t[:, None] * step.T
                points.append(branch)
                radius.append(r * (1 - 0.2 * t))
                fork = rng.uniform(0.2, 0.65, 2) * (1, -1)
                share = rng.uniform(0.62, 0.86, 2)
                grown += [
                    (branch[-1], way + turn, r * part, 0.78 * length)
                    for turn, part in zip(fork, share, strict=True)
                ]
            buds = grown
        return cls(np.concatenate(points), np.concatenate(radius))


def pneumonia(
    rng: np.random.Generator, width: float, height: float
) -> tuple[tuple[int, Opacity], ...]:
    """Draws patches of consolidation, most in the lower and middle zones, some of them faint.

    Both lungs carry a broad veil besides, a third as deep as the patches.
    """
    depth = rng.uniform(2.2, 9.0)
    found = []
    for side in SIDES:
        centre = np.array([side * 0.5 * width, 2.5 * height])
        veil = Opacity(
            centre + 0.8 * rng.standard_normal(2),
            radii=np.array([5.0, 7.5]) * rng.uniform(0.8, 1.15, 2),
            tilt=0.2 * rng.standard_normal(),
            depth=depth * rng.uniform(0.25, 0.5),
            patches=Texture.draw(rng, 2.0, 7.0),
        )
        found.append((side, veil))
    side = int(rng.choice(SIDES))
    for _ in range(rng.choice([1, 2, 3, 4], p=[0.2, 0.3, 0.3, 0.2])):
        level = (2.0 + 4.0 * np.clip(rng.standard_normal(), -2.0, 1.5)) * height
        patch = Opacity(
            np.array([side * width * rng.uniform(0.38, 0.72), level]),
            radii=rng.uniform(2.0, 4.5) * np.array([1.0, rng.uniform(0.7, 1.3)]),
            tilt=rng.uniform(0, np.pi),
            depth=depth * rng.uniform(0.6, 1.2),
            patches=Texture.draw(rng, 1.8, 6.0),
        )
        found.append((side, patch))
        side = -side if rng.random() < 0.6 else side
    return tuple(found)
