"""A5 on children's chest radiographs (Kermany et al. 2018), where they are at hand."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from privacy import Films
from privacy.likeness.clearness import names

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


def test_disguised_films_are_recognised_and_images_of_nobody_are_not(
    sides: tuple[Films, Films],
) -> None:
    members, controls = sides
    count, rng = 6, torch.Generator().manual_seed(0)
    film, other = (members.images[members.first[i : i + count]] for i in (0, 20))
    mean = members.images.mean(0, keepdim=True)
    noisy = film + 0.1 * film.std() * torch.randn(film.shape, generator=rng)
    disguised = {
        "mirrored, shifted": film.flip(-1).roll(1, -1),
        "contrast": 0.5 * film + 0.3,
        "noise": noisy,
        "negative, upside down": 1 - film.flip(-2),
        "a fifth of it": mean + 0.2 * (film - mean),
        "half": torch.cat([film[..., :16], mean.expand_as(film)[..., 16:]], -1),
        "mixture": (film + other) / 2,
    }
    means = torch.stack([members.images[members.labels == c].mean(0) for c in (0, 1)])
    nobody = torch.cat([means, torch.rand(4, 1, 32, 32, generator=rng)])
    found = names(torch.cat([*disguised.values(), nobody]), members, controls)
    for place, name in enumerate(disguised):
        rows = range(place * count, (place + 1) * count)
        right = [found.who[row][0] in (row % count, row % count + 20) for row in rows]
        clear = [float(found.p[row]) < 0.005 for row in rows]
        assert sum(right) >= 5, name
        assert sum(clear) >= 5, name
    assert float(found.p[-len(nobody) :].min()) > 0.02
