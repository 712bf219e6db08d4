"""One invented person's chest: what is drawn once per patient and kept across the films.

Attenuation coefficients are narrow-beam values near 65 keV, about the effective energy of a
chest film (after the NIST tables; rounded): soft tissue 0.20/cm, inflated lung 0.05/cm (a quarter
of its density), spongy bone 0.32/cm and cortical bone 0.55/cm.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from lungs import Opacity, Vessels, pneumonia
from rays import SIDES, Array, Texture, View, line

SOFT, LUNG, SPONGY, CORTICAL = 0.20, 0.052, 0.32, 0.55  # 1/cm
TOP, WIDEST = -13.5, 6.0  # apex and widest level of an ordinary lung, cm


@dataclass(frozen=True)
class Anatomy:
    """The chest of one patient. Lengths in cm, pairs are (right, left).

    Attributes:
        female: whether breast shadows are drawn.
        size: size of the frame beside an ordinary one.
        width: half width of the rib cage at its widest.
        height: stretch of the lungs along the body.
        depth: front-to-back length of the lungs.
        wall: soft tissue around the cage.
        domes: levels of the diaphragm.
        dome_fall: how steeply the domes fall to the costophrenic angles, 1/cm.
        heart: half axes, and tilt in radian.
        heart_at: its centre.
        atrium: half width of the right border of the heart.
        knob: radius of the aortic arch; the descending aorta follows it.
        upper: half width of the upper mediastinum.
        spine: sideways amplitude and phase of its bend.
        pitch: distance of two vertebrae, rib pairs follow it.
        rib_fall: how far a rib falls from back to front.
        rib_radius: half height of a rib.
        bone: density of bone beside an ordinary one.
        clavicle: level of the inner and outer end.
        scapula: how far the shoulder blades lie outside.
        breast: half axis and thickness.
        bubble: radius of the gas in the stomach.
        air: attenuation of the lungs beside ordinary ones.
        vessels: of both lungs.
        haze: uneven density of the lungs.
        opacities: patches of pneumonia with the side they lie in; none in a healthy patient.
    """

    female: bool
    size: float
    width: float
    height: float
    depth: float
    wall: float
    domes: Array
    dome_fall: Array
    heart: Array
    heart_at: Array
    atrium: float
    knob: float
    upper: float
    spine: Array
    pitch: float
    rib_fall: float
    rib_radius: float
    bone: float
    clavicle: Array
    scapula: float
    breast: Array
    bubble: float
    air: float
    vessels: tuple[Vessels, Vessels]
    haze: Texture
    opacities: tuple[tuple[int, Opacity], ...]

    @classmethod
    def draw(cls, rng: np.random.Generator, female: bool, ill: bool) -> Self:
        """Draws a person; the illness is drawn last and changes nothing else."""

        def about(mean: float, sd: float) -> float:
            return float(mean + sd * np.clip(rng.standard_normal(), -2.2, 2.2))

        size = about(0.97 if female else 1.03, 0.03)
        width, height = about(12.9, 0.55) * size, about(1.0, 0.045) * size
        domes = np.array([about(8.0, 0.7), about(9.0, 0.7)]) * size
        heart = np.array([about(6.0, 0.8), about(4.5, 0.5), about(4.6, 0.5)])
        hila = np.array([[-2.9, about(0.4, 0.5), 0], [2.9, about(-0.7, 0.5), 0]])
        thick = about(1.35, 0.2)
        healthy = cls(
            female=female,
            size=size,
            width=width,
            height=height,
            depth=about(16.0, 1.5) * size,
            wall=about(3.4, 0.7),
            domes=domes,
            dome_fall=np.array([about(0.085, 0.016), about(0.085, 0.016)]),
            heart=np.append(heart * size, about(0.62, 0.13)),
            heart_at=np.array([about(2.5, 0.5), about(4.2, 0.5), -2.5]) * size,
            atrium=about(4.0, 0.45) * size,
            knob=about(1.55, 0.35),
            upper=about(2.2, 0.35),
            spine=np.array([abs(about(0, 0.55)), rng.uniform(0, 2 * np.pi)]),
            pitch=about(2.35, 0.12) * size,
            rib_fall=about(10.5, 1.5) * size,
            rib_radius=about(0.70, 0.07),
            bone=about(1.0, 0.14),
            clavicle=np.array([about(-10.2, 0.7), about(-12.6, 0.9)]) * size,
            scapula=about(12.6, 0.7) * size,
            breast=np.array([about(5.8, 0.8), about(2.8, 1.0) if female else 0.0]),
            bubble=max(0.0, about(0.7, 0.8)),
            air=about(1.0, 0.1),
            vessels=(
                Vessels.draw(rng, hila[0], -1, thick),
                Vessels.draw(rng, hila[1], 1, thick),
            ),
            haze=Texture.draw(rng, 1.5, 6.0),
            opacities=(),
        )
        return replace(healthy, opacities=pneumonia(rng, width, height)) if ill else healthy

    # Soft parts --------------------------------------------------------------------------------

    def body(self, view: View) -> Array:
        """Returns the path length in the trunk, neck and shoulders, (H, W), cm."""
        x, y = np.abs(view.x), view.y
        shoulder = np.clip((-5 * self.size - y) / 6, 0, 1)
        half = self.width + self.wall + 1.2 + 4.5 * shoulder**1.5
        thick = self.depth + 1.7 * self.wall - 6.0 * shoulder
        trunk = thick * np.sqrt(np.maximum(1 - (x / half) ** 2.6, 0))
        slope = -18.0 * self.size + 0.05 * np.maximum(x - 5, 0) ** 1.7
        trunk = trunk * np.sqrt(np.clip((y - slope) / 7, 0, 1))
        neck = 11.5 * np.sqrt(np.maximum(1 - (x / 6.0) ** 2, 0))
        return np.asarray(np.hypot(trunk, neck * np.clip((-9 - y) / 6, 0, 1)))

    def breasts(self, view: View) -> Array:
        """Returns the path length in the breasts, (H, W), cm."""
        half, thick = self.breast
        radii = np.array([half, half * 0.95, thick / 2])
        return sum(
            (view.ball(np.array([side * 7.6, 6.5, -9.0]), radii) for side in SIDES),
            np.zeros_like(view.x),
        )

    def middle(self, view: View) -> Array:
        """Returns the path length in heart, great vessels and mediastinum, (H, W), cm."""
        squeeze = 1 - 0.02 * view.breath
        ball = view.ball
        heart = self.heart[:3] * np.array([squeeze, 1.0, 1.0])
        x, y, z = self.heart_at + np.array([0.0, 0.35 * view.breath, 0.0])
        upper = self.upper + 0.02 * np.maximum(-view.y - 6, 0) ** 1.5
        mantle = 13 * np.sqrt(np.maximum(1 - (view.x / upper) ** 2, 0))
        atrium = np.array([self.atrium, 4.6 * self.size, 4.0])
        arch = np.array([2.0, -5.4 * self.size, 1.0])
        knob = np.array([self.knob, self.knob, 3.0])
        aorta = line([(2.2, -5, 4), (2.3, 0, 5), (1.4, 6, 5), (0.8, 14, 5)])
        parts = [
            mantle,
            ball(np.array([x, y, z]), heart, float(self.heart[3])),
            ball(np.array([-0.4, y, z]), atrium),
            ball(arch, knob),
            ball(np.array([2.2, -1.6, -1.0]), np.array([2.0, 2.2, 2.2])),
        ]
        joined = np.max(parts, axis=0) + 0.25 * np.sum(parts, axis=0)
        return np.asarray(joined + view.tube(aorta, np.full(len(aorta), 0.72 * self.knob)))

    def airways(self, view: View) -> Array:
        """Returns the path length in trachea, main bronchi and gas of the stomach, (H, W), cm."""
        trunk = line([(0, -20, 1), (0.1, -12, 1), (0.2, -4.2, 2)])
        right = line([(0.2, -4.2, 2), (-1.4, -2.2, 2), (-3.0, 0.0, 2)])
        left = line([(0.2, -4.2, 2), (2.0, -2.4, 2), (4.0, -0.9, 2)])
        path = view.tube(trunk, np.full(len(trunk), 0.8))
        for bronchus in (right, left):
            path = np.maximum(path, view.tube(bronchus, np.full(len(bronchus), 0.5)))
        low = self.domes[1] + 2.3 + view.breath
        gas = np.array([1.5, 0.8, 1.3]) * max(self.bubble, 0.05)
        return np.asarray(path + view.ball(np.array([6.0, low, -3.0]), gas))

    def lung(self, view: View, side: int) -> Array:
        """Returns the path length in the cavity of one lung, (H, W), cm."""
        which = (side + 1) // 2
        outward, y = side * view.x, view.y
        top, widest = TOP * self.height, WIDEST * self.height
        level = np.clip((widest - y) / (widest - top), 0, 1)
        axis = 0.40 * self.width
        outer = axis + (self.width - axis) * np.sqrt(1 - level**2.3)
        inner = axis - (axis - 0.6) * np.sqrt(1 - level**5)
        across = (outward - (outer + inner) / 2) / np.maximum((outer - inner) / 2, 1e-3)
        section = np.sqrt(np.maximum(1 - np.abs(across) ** 2.8, 0))
        crest = 0.36 * self.width
        dome = self.domes[which] + view.breath
        dome = dome + self.dome_fall[which] * np.abs(outward - crest) ** 1.9
        above = dome - y
        front = np.sqrt(np.maximum(1 - (1 - np.clip(above / 6, 0, 1)) ** 2, 0))
        recess = np.clip(1 + above / 4.5, 0, 1)
        length = self.depth * (1 - 0.5 * level**2) * section
        return np.asarray(length * (0.82 * front + 0.18 * recess) * (y > top))

    # Bones -------------------------------------------------------------------------------------

    def bend(self, y: Array) -> Array:
        """Returns how far the spine lies to the left at the levels ``y``, cm."""
        sway, phase = self.spine
        return np.asarray(sway * np.sin(2 * np.pi * y / 30 + phase))

    def ribs(self, view: View) -> tuple[Array, Array]:
        """Returns the path lengths in the shells and the marrow of ribs and clavicles, cm."""
        shell, marrow = np.zeros_like(view.x), np.zeros_like(view.x)
        for points, radius in self.rods(view.breath):
            whole = view.tube(points, radius)
            core = view.tube(points, np.maximum(radius - 0.15, 0.02))
            shell += np.maximum(whole - core, 0)
            marrow += core
        return shell, marrow

    def rods(self, breath: float) -> list[tuple[Array, Array]]:
        """Returns middle lines, (n, 3), and radii, (n,), of ribs and clavicles, cm."""
        rods = []
        top, widest = TOP * self.height, WIDEST * self.height
        for number in range(11):
            start = top + 0.4 + number * self.pitch
            middle = start + (0.5 if number > 2 else 0.25) * self.rib_fall
            level = np.clip((widest - middle) / (widest - top), 0, 0.985)
            half = 0.4 * self.width + 0.6 * self.width * np.sqrt(1 - level**2.3) + 0.3
            end = 2.6 - 0.06 * max(number - 6, 0) ** 2
            phi = np.linspace(0.12, end, int(2.6 * half * end / 1.2))
            fall = self.rib_fall * (0.55 + 0.06 * min(number, 8)) - 0.25 * breath
            y = start + fall * (1 - np.cos(phi)) / 2 - 0.5 * np.sin(2 * phi)
            z = 0.5 * self.depth * np.cos(phi)
            x = half * np.sin(phi) ** 0.85
            thin = np.clip((end - phi) / 0.35, 0.25, 1) ** 0.5
            radius = self.rib_radius * thin * (0.85 if number < 2 else 1.0)
            rods += [
                (np.stack([side * x + self.bend(y) * np.abs(np.cos(phi)), y, z], axis=1), radius)
                for side in SIDES
            ]
        inner, outer = self.clavicle
        for side in SIDES:
            corners = [
                (side * 1.6, inner, -7.0),
                (side * 5.5, inner - 0.6, -7.5),
                (side * 10.0, outer + 0.5, -5.0),
                (side * 15.5, outer, -2.0),
            ]
            points = line(corners)
            rods.append((points, np.full(len(points), 0.62)))
        return rods

    def vertebrae(self, view: View) -> Array:
        """Returns the path length in the spine, (H, W), cm."""
        x = view.x - self.bend(view.y) - np.sin(view.turn) * 6.0
        y = view.y - TOP * self.height
        half = 1.35 + 0.02 * np.clip(y, 0, 30)
        column = np.sqrt(np.maximum(1 - np.abs(x / half) ** 4, 0))
        level = np.mod(y / self.pitch, 1.0) - 0.5
        block = 0.45 + 0.55 * (1 - np.abs(2 * level) ** 6)
        spike = np.exp(-((x / 0.25) ** 2) - (level / 0.28) ** 2)
        pedicle = np.exp(-(((np.abs(x) - 0.8) / 0.28) ** 2) - ((level + 0.12) / 0.17) ** 2)
        return np.asarray(3.2 * column * block + 1.5 * spike + 1.2 * pedicle)

    def blades(self, view: View) -> Array:
        """Returns the path length in the shoulder blades and heads of the arms, (H, W), cm."""
        path = np.zeros_like(view.x)
        for side in SIDES:
            x, y = side * view.x, view.y
            border = self.scapula + 0.012 * (y + 5) ** 2 - 0.16 * (y + 5)
            inside = np.clip((x - border) / 0.3, 0, 1)
            ends = np.clip((y + 13) / 1.5, 0, 1) * np.clip((1.5 - y) / 1.5, 0, 1)
            rim = np.exp(-(((x - border - 0.4) / 0.35) ** 2))
            path += ends * (0.35 * inside + 0.7 * rim)
            head = np.array([side * 17.5, -13.5 * self.size, 0.0])
            path += 0.8 * view.ball(head, np.array([2.4, 2.5, 1.6]))
        return path

    # All together ------------------------------------------------------------------------------

    def attenuation(self, view: View, soft: float = 1.0, bone: float = 1.0) -> Array:
        """Returns the line integral of the attenuation coefficient along each ray, (H, W).

        Args:
            view: how the body lies.
            soft: soft tissue's coefficient beside that at 65 keV.
            bone: excess of bone over soft tissue beside that at 65 keV.
        """
        body = self.body(view)
        middle = self.middle(view)
        airways = self.airways(view)
        air, fluid = np.zeros_like(body), np.zeros_like(body)
        for side, vessels in zip(SIDES, self.vessels, strict=True):
            lung = np.maximum(self.lung(view, side) - middle, 0)
            lung = np.minimum(lung, np.maximum(body - 3, 0))
            tree = view.tube(vessels.points, vessels.radius)
            patches = [o.fluid(view) for where, o in self.opacities if where == side]
            filled = 0.92 * lung * (1 - np.exp(-sum(patches) / (0.92 * lung + 1e-3)))
            fluid += filled + np.minimum(0.8 * tree, 0.5 * lung)
            air += lung
        aerated = LUNG * self.air * (1 - 0.06 * view.breath)
        inflated = aerated * (1 + 0.12 * self.haze(view))
        shell, marrow = self.ribs(view)
        spongy = self.vertebrae(view) + self.blades(view) + marrow
        ray = SOFT * (body + self.breasts(view) - airways)
        ray -= (SOFT - inflated) * np.maximum(air - fluid, 0)
        hard = (CORTICAL - SOFT) * shell + (SPONGY - SOFT) * spongy
        return np.asarray(np.maximum(soft * ray + bone * self.bone * hard * (body > 0), 0))
