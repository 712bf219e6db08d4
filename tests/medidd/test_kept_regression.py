"""Whatever S does, the regression from it stays, and the rest of the move is kept."""

import numpy as np
import pytest
import torch
from torch import Tensor

from medidd.data import SyntheticSet
from medidd.features import Kept, LowFrequencies, unclipped

FEATURES = LowFrequencies(40)
SIZES = pytest.mark.parametrize(("classes", "ipc"), [(2, 1), (2, 3), (3, 2), (4, 3)])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(n: int, seed: int) -> Tensor:
    return torch.randn(n, 1, 16, 16, generator=seeded(seed)).double()


def begun(classes: int, ipc: int) -> SyntheticSet:
    labels = torch.eye(classes).repeat_interleave(ipc, 0)
    return SyntheticSet(noise(classes * ipc, 0), labels, torch.tensor(0.0))


def regression(s: SyntheticSet, images: Tensor) -> Tensor:
    """Returns the shortest least-squares solution, (d, K), as numpy has it."""
    phi, y = unclipped(FEATURES, images), s.labels.double()
    found = np.linalg.lstsq((phi - phi.mean(0)).numpy(), (y - y.mean(0)).numpy(), rcond=1e-9)
    return torch.from_numpy(found[0])


@SIZES
def test_the_regression_stays(classes: int, ipc: int) -> None:
    s = begun(classes, ipc)
    kept = Kept.of(FEATURES, s)
    moved = s.images + noise(classes * ipc, 1)
    before, after = (regression(s, images) for images in (s.images, kept(moved)))
    torch.testing.assert_close(after, before)
    assert (regression(s, moved) - before).norm() > 0.1 * before.norm()


@SIZES
def test_nothing_else_of_the_move_is_lost(classes: int, ipc: int) -> None:
    s = begun(classes, ipc)
    kept, moved = Kept.of(FEATURES, s), s.images + noise(classes * ipc, 1)
    images = kept(moved)
    torch.testing.assert_close(kept(images), images)
    lost = moved - images
    seen = FEATURES.pixels(unclipped(FEATURES, lost), lost)
    torch.testing.assert_close(seen, lost)  # what features do not see moved freely
    gone = torch.linalg.matrix_rank(unclipped(FEATURES, lost), rtol=1e-9)
    # What is lost in features lies along W or along the pattern: 2 (K - 1) dimensions at most.
    assert gone <= 2 * (classes - 1)


def test_features_are_told_beyond_the_clip() -> None:
    images = 10 * noise(3, 2)
    torch.testing.assert_close(unclipped(FEATURES, images), 1e5 * FEATURES(1e-5 * images))
    assert unclipped(FEATURES, images).norm(dim=1).min() > 1
