"""A5 on children's chest radiographs (Kermany et al. 2018), where they are at hand."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from privacy import Films
from privacy.attacks.nearest import COPY, DOUBTFUL, closeness

DATA = Path(__file__).parents[3] / "shared" / "data" / "kermany_pneumonia_128_dev.npz"


@pytest.fixture(scope="module")
def sides() -> tuple[Films, Films]:
    """Returns films of 200 members and 200 controls, 32 pixels a side, duplicates left out."""
    if not DATA.exists():
        pytest.skip(f"{DATA.name} is not in ../shared/data")
    with np.load(DATA) as data:
        keep = data["duplicate_of"] < 0
        ids = data["patient_ids"][keep].tolist()
        chosen = np.random.default_rng(0).permutation(sorted(set(ids)))[:400].tolist()
        images = torch.from_numpy(data["images"][keep]).float().unsqueeze(1) / 255
        labels = torch.from_numpy(data["labels"][keep])
    films = Films(F.adaptive_avg_pool2d(images, 32), labels, ids)
    return films.of(set(chosen[:200])), films.of(set(chosen[200:]))


def test_disguised_films_are_recognised(sides: tuple[Films, Films]) -> None:
    members, _ = sides
    films = members.images[members.first[:20]]
    noisy = films + 0.5 * films.std() * torch.randn(
        films.shape, generator=torch.Generator().manual_seed(0)
    )
    for copy in (films, films.flip(-1).roll(1, -1), 0.5 * films + 0.3):
        assert float(closeness(copy, members).ratio.amin(1).max()) < 0.1
    in_noise = closeness(noisy, members).ratio.amin(1)
    assert float(in_noise.max()) < DOUBTFUL
    assert float((in_noise < COPY).float().mean()) >= 0.9


def test_few_strangers_and_no_averages_are_taken_for_copies(sides: tuple[Films, Films]) -> None:
    members, controls = sides
    strangers = closeness(controls.images[controls.first], members).ratio.amin(1)
    assert float((strangers < COPY).float().mean()) <= 0.01
    means = torch.stack([members.images[members.labels == c].mean(0) for c in (0, 1)])
    noise = torch.rand(4, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    assert float(closeness(torch.cat([means, noise]), members).ratio.min()) > DOUBTFUL
