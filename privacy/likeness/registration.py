"""Undoes what was done to a copy: turned, mirrored, scaled, shifted, or shown as a negative.

The search has two steps. The first compares small pictures under all moves of a coarse grid with
all films; the second takes the most similar films and improves each one's move. Only the middle of
the image is compared, because a move brings in a border that no film has.
"""

import math
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional as F

from privacy.likeness.residual import Residual

SMALL, LARGE = 20, 32
"""Pixels a side of the two steps."""
COARSE, FINE = 0.01, 0.0003
"""Ridges of the two steps. A large one compares coarse shapes, which half a step does not hide."""
TURNS = (-12.0, -6.0, 0.0, 6.0, 12.0)
"""Degrees; with these go quarter turns and the mirror image."""
SCALES = (0.82, 0.9, 1.0, 1.11, 1.22)
SHIFT = 2
"""Largest shift, in pixels of a small picture: a tenth of the side. The second step reaches an
eighth."""
AXES = 64
"""Principal axes that the first step compares."""
KEPT = 16
"""Films whose move is improved."""
LEVELS = 3
"""How often the steps of the second search are halved."""


class Registered:
    """Compares images with films under all moves.

    A move is (mirror, turn, logarithm of the scale, shift right, shift down), the shifts in halves
    of the side.
    """

    gaps = 1

    def __init__(self, films: Tensor, labels: Tensor) -> None:
        """Learns the films (n, C, H, W) and their classes (n,)."""
        self._small = Residual(_middle(_resized(films, SMALL)), labels, COARSE, axes=AXES)
        self._large = Residual(_middle(_resized(films, LARGE)), labels, FINE)
        self._aims = self._large.aims()
        step = 2 / SMALL
        shifts = [step * at for at in range(-SHIFT, SHIFT + 1)]
        self._moves = torch.tensor(
            [
                (mirror, 90 * quarter + turn, math.log(scale), right, down)
                for mirror, quarter, turn, scale in product((1, -1), range(4), TURNS, SCALES)
                for right, down in product(shifts, shifts)
            ],
            device=films.device,
        )
        self._grid = _grid(self._moves, SMALL)

    def likeness(self, images: Tensor, without: Tensor | None = None) -> Tensor:
        """Returns the likeness of images (m, C, H, W) to films, (m, n); 0 for films given up early.

        Args:
            images: display values.
            without: films left out for each image, as in ``Whitened.likeness``.
        """
        found = [
            self._one(image, None if without is None else without[number])
            for number, image in enumerate(images)
        ]
        return torch.stack(found)

    def _one(self, image: Tensor, without: Tensor | None) -> Tensor:
        small, large = (_resized(image.unsqueeze(0), side) for side in (SMALL, LARGE))
        seen = self._small.likeness(_moved(small, self._grid))
        best, move = seen.max(0)
        if without is not None:
            best[without[without >= 0]] = 0
        kept = best.topk(min(KEPT, len(best))).indices
        at = self._moves[move[kept]]
        step = torch.tensor([0, 3.0, 0.05, 1 / SMALL, 1 / SMALL], device=image.device)
        for _ in range(LEVELS):
            for tried in _TRIED:
                near = at.unsqueeze(1) + tried.to(step) * step
                views = _moved(large, _grid(near.flatten(0, 1), LARGE))
                value = self._large.along(views.view(len(kept), len(tried), -1), self._aims[kept])
                at = near[torch.arange(len(kept)), value.argmax(1)]
            step = step / 2
        views = self._sharply_moved(image.unsqueeze(0), at)
        result = torch.zeros_like(best)
        alike = self._large.likeness(
            views, None if without is None else without.expand(len(kept), -1)
        )
        result[kept] = alike[torch.arange(len(kept)), kept]
        return result

    def _sharply_moved(self, image: Tensor, moves: Tensor) -> Tensor:
        """Returns the middle of an image (1, C, H, W) under moves, flat, (v, D).

        Moving a small picture blurs it. So a large one is moved first, and then made small.
        """
        finer = 2 if min(image.shape[-2:]) >= 2 * LARGE else 1
        views = _moved(_resized(image, finer * LARGE), _grid(moves, finer * LARGE))
        width = finer * (LARGE - 2 * (LARGE // 8))
        square = views.view(len(moves), -1, width, width)
        return F.avg_pool2d(square, finer).flatten(1)


_TRIED = (
    torch.tensor([(0, turn, scale, 0, 0) for turn, scale in product((-1, 0, 1), repeat=2)]),
    torch.tensor([(0, 0, 0, right, down) for right, down in product((-1, 0, 1), repeat=2)]),
)
"""Steps that are tried at once: of turn and scale, then of both shifts."""


def _grid(moves: Tensor, side: int) -> Tensor:
    """Returns where the middle's pixels come from under moves (v, 5), (v, side, side, 2).

    As ``torch.nn.functional.affine_grid`` gives it, without the border that is cut off.
    """
    mirror, turn, scale, right, down = moves.unbind(-1)
    angle, size = torch.deg2rad(turn), scale.exp()
    across = torch.stack([mirror * angle.cos(), -angle.sin()], -1) * size.unsqueeze(-1)
    along = torch.stack([mirror * angle.sin(), angle.cos()], -1) * size.unsqueeze(-1)
    at = (torch.arange(side, device=moves.device) * 2 + 1) / side - 1
    at = at[side // 8 : side - side // 8]
    down_up, left_right = torch.meshgrid(at, at, indexing="ij")
    points = torch.stack([left_right, down_up]).flatten(1)
    x = across @ points + right.unsqueeze(-1)
    y = along @ points + down.unsqueeze(-1)
    return torch.stack([x, y], -1).view(len(moves), len(at), len(at), 2)


def _moved(image: Tensor, grid: Tensor) -> Tensor:
    """Returns the middle of one image (1, C, S, S) under each move, flat, (v, D)."""
    # One tall picture of all views is sampled much faster than many small ones.
    views = F.grid_sample(
        image, grid.flatten(0, 1).unsqueeze(0), padding_mode="border", align_corners=False
    )
    channels, width = image.shape[1], grid.shape[2]
    return views.view(channels, len(grid), width * width).transpose(0, 1).flatten(1)


def _resized(images: Tensor, side: int) -> Tensor:
    return F.adaptive_avg_pool2d(images.float(), side)


def _middle(images: Tensor) -> Tensor:
    """Returns the middle three quarters, flat, (v, D)."""
    edge = images.shape[-1] // 8
    return images[..., edge:-edge, edge:-edge].flatten(1)
