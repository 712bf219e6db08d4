"""Likeness in whitened coordinates: what most people share counts little, what is rare counts much.

Two films of different people are alike, because all chests are. An attacker who knows films of many
people divides that out: coordinates in which these films have equal spread in every direction
(Mahalanobis 1936; the matched filter of signal detection). A ridge keeps directions in which films
hardly differ from being blown up.
"""

import torch
from torch import Tensor

TINY = 1e-9
"""Smallest strength of a ridge; films that are all blank have no spread."""


class Whitened:
    """Films in whitened coordinates.

    With S the covariance of the films and r the ridge, the likeness of a and b is the cosine of
    (S + r)^-1/2 a and (S + r)^-1/2 b.
    """

    def __init__(self, rows: Tensor, ridge: float) -> None:
        """Learns the coordinates.

        Args:
            rows: what is compared of each film, (n, D), its mean taken away.
            ridge: strength, as a share of the rows' whole variance.
        """
        n, dimensions = rows.shape
        # With fewer films than dimensions, only the space that the films span matters.
        self._span = torch.linalg.qr(rows.T).Q if dimensions > n else None
        inside = rows if self._span is None else rows @ self._span
        strength = ridge * float(rows.square().sum()) / n + TINY
        covariance = inside.T @ inside / n
        eye = torch.eye(len(covariance), dtype=rows.dtype, device=rows.device)
        factor = torch.linalg.cholesky(covariance + strength * eye)
        self._whiten = torch.linalg.solve_triangular(factor, eye, upper=False).T.contiguous()
        self._strength, self._count = strength, n
        self.rows = inside @ self._whiten
        self._lengths = self.rows.norm(dim=1).clamp_min(TINY)

    def likeness(self, queries: Tensor, without: Tensor | None = None) -> Tensor:
        """Returns the likeness of queries (m, D) to the films, (m, n), from -1 to 1.

        Args:
            queries: compared with every film.
            without: films that are left out for each query, also of the covariance, as if they
                were not known (Sherman & Morrison 1950), (m, k), filled up with -1; their likeness
                is 0.
        """
        at, outside = self._coordinates(queries)
        inner, square = at @ self.rows.T, at.square().sum(1) + outside
        if without is not None:
            there = without >= 0
            left_out = self.rows[without.clamp_min(0)] * there.unsqueeze(2)
            own = torch.einsum("md,mkd->mk", at, left_out)
            eye = torch.eye(without.shape[1], dtype=at.dtype, device=at.device)
            gain = torch.linalg.solve(self._count * eye - left_out @ left_out.transpose(1, 2), own)
            inner = inner + torch.einsum("mk,mkd->md", gain, left_out) @ self.rows.T
            square = square + (gain * own).sum(1)
            inner[there.nonzero()[:, 0], without[there]] = 0
        alike: Tensor = inner / self._lengths / square.sqrt().clamp_min(TINY).unsqueeze(1)
        return alike

    def aims(self) -> Tensor:
        """Returns for each film the direction in which a query becomes more like it, (n, D)."""
        inside: Tensor = self.rows @ self._whiten.T
        return inside if self._span is None else inside @ self._span.T

    def _coordinates(self, queries: Tensor) -> tuple[Tensor, Tensor | float]:
        """Returns whitened coordinates, (m, d), and the squared length outside of the films' span.

        What no film spans is pure ridge. It makes a query less like every film.
        """
        if self._span is None:
            return queries @ self._whiten, 0.0
        inside = queries @ self._span
        outside = queries.square().sum(1) - inside.square().sum(1)
        return inside @ self._whiten, outside.clamp_min(0) / self._strength
