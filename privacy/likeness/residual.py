"""What is left of an image when what all films of its class share is taken away.

All chests have two lungs and a heart. An image that is mostly the mean of its class hides whatever
little of one film is in it; without the mean, this little is all there is.
"""

import torch
from torch import Tensor

from privacy.likeness.whitening import Whitened

BLANK = 1e-4
"""Shorter residuals are rounding: nothing is left of the image."""


class Residual:
    """Films without constant and class means, each of length 1, in whitened coordinates.

    Brightness, contrast and a negative change nothing but the sign.
    """

    def __init__(
        self, films: Tensor, labels: Tensor, ridge: float, *, axes: int | None = None
    ) -> None:
        """Learns what films share.

        Args:
            films: (n, D).
            labels: their classes, (n,).
            ridge: as a share of a film's variance.
            axes: principal axes that are compared; None for all dimensions.
        """
        means = [films[labels == label].mean(0) for label in sorted(set(labels.tolist()))]
        shared = torch.stack([torch.ones_like(films[0]), *means], 1)
        self._shared = torch.linalg.qr(shared).Q
        left = self._left(films)
        self._axes: Tensor | None = None
        if axes is not None and axes < min(left.shape):
            self._axes = torch.linalg.eigh(left.T @ left).eigenvectors[:, -axes:]
            left = left @ self._axes
        self._whitened = Whitened(left, ridge)

    def likeness(self, images: Tensor, without: Tensor | None = None) -> Tensor:
        """Returns the likeness of images (m, D) to films, (m, n), from 0 to 1, in either contrast.

        Args:
            images: display values, as the films.
            without: films left out, as in ``Whitened.likeness``.
        """
        if self._axes is None:
            return self._whitened.likeness(self._left(images), without).abs()
        # The axes have no part in what films share, so nothing need be taken away.
        seen = (images @ self._axes) / self._length(images).unsqueeze(1)
        return self._whitened.likeness(seen, without).abs()

    def aims(self) -> Tensor:
        """Returns the direction in which an image becomes more like each film, (n, D)."""
        aims = self._whitened.aims()
        return aims if self._axes is None else aims @ self._axes.T

    def along(self, images: Tensor, aims: Tensor) -> Tensor:
        """Returns how far images (m, v, D) go along aims (m, D), in either direction, (m, v).

        For one film this orders images as their likeness does, up to their length in whitened
        coordinates, and is much faster.
        """
        found: Tensor = torch.einsum("mvd,md->mv", images, aims).abs() / self._length(images)
        return found

    def _left(self, images: Tensor) -> Tensor:
        """Returns the residual of images (m, D), of length 1; 0 if nothing is left."""
        left = images - (images @ self._shared) @ self._shared.T
        length = left.norm(dim=1, keepdim=True)
        return torch.where(length < BLANK, 0.0, left / length.clamp_min(BLANK))

    def _length(self, images: Tensor) -> Tensor:
        """Returns the length of the residual of images (..., D), (...)."""
        squared: Tensor = images.square().sum(-1) - (images @ self._shared).square().sum(-1)
        return squared.clamp_min(BLANK**2).sqrt()
