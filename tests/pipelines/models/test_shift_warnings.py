"""What a model says of its bundles' guarantees decides how films are compared."""

from typing import Any

import torch

from medidd.dicom.reading import Reading
from pipelines.models.model import Model
from pipelines.models.shift import INTENSITY_WORDS
from pipelines.models.shift_warnings import compared


def model(guarantees: list[dict[str, float] | None]) -> Model:
    """Returns one whose images have half the contrast about gray that ``films`` have."""
    about: dict[str, Any] = {
        "bundles": [{"guarantee": one, "images": 4 // len(guarantees)} for one in guarantees]
    }
    images, labels = 0.5 + 0.5 * (films(4) - 0.5), torch.eye(2).repeat(2, 1)
    return Model("convnet", 8, 32, ("a", "b"), Reading(), (), images, labels, about)


def films(count: int) -> torch.Tensor:
    rows, columns = torch.meshgrid(*[torch.linspace(-1, 1, 32)] * 2, indexing="ij")
    body = 0.1 + 0.6 * torch.sigmoid(6 * (1 - columns**2 / 0.5 - rows**2 + 0.5 * columns))
    rng = torch.Generator().manual_seed(0)
    return (body + 0.02 * torch.randn(count, 1, 32, 32, generator=rng)).clamp(0, 1)


def test_films_with_more_contrast_than_images_alarm_only_without_a_guarantee() -> None:
    told = {"epsilon": 2.0, "delta": 1e-5}
    assert compared(model([None]), films(100)).looks == (INTENSITY_WORDS,)
    assert compared(model([told]), films(100)).looks == ()
    assert compared(model([None, told]), films(100)).looks == ()


def test_films_with_less_contrast_alarm_with_a_guarantee_too() -> None:
    faint = 0.5 + 0.2 * (films(100) - 0.5)
    told = {"epsilon": 2.0, "delta": 1e-5}
    assert compared(model([told]), faint).looks == (INTENSITY_WORDS,)
