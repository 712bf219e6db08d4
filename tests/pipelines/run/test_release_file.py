"""The release file: 12-bit levels, labels in thousandths, one metadata key, the same bytes."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from invented_cohort import Made
from PIL import Image
from safetensors import safe_open

from medidd.data import NORMALIZATION, SyntheticSet
from pipelines.run.release_file import LEVELS, Release, quantized, read_release, rounded
from pipelines.run.store import Run


def test_a_release_holds_levels_labels_and_one_line_of_facts(made: Made) -> None:
    with safe_open(made.path / "synthetic.safetensors", "pt") as file:
        assert sorted(file.keys()) == ["images", "labels"]
        images, labels = file.get_tensor("images"), file.get_tensor("labels")
        metadata = file.metadata()
    assert images.dtype == torch.uint16
    assert images.shape == (6, 1, 16, 16)
    assert int(images.to(torch.int32).max()) <= 4095
    assert labels.dtype == torch.float32
    assert labels.shape == (6, 2)
    assert torch.equal(labels, (labels.double() * 1000).round().div(1000).float())
    torch.testing.assert_close(labels.sum(1), torch.ones(6))
    assert list(metadata) == ["medidd"]
    facts = json.loads(metadata["medidd"])
    assert metadata["medidd"] == json.dumps(facts, sort_keys=True)
    assert set(facts) >= {"method", "ipc", "classes", "normalization", "seed", "versions"}
    assert (facts["method"], facts["ipc"], facts["seed"]) == ("dm", 3, 0)
    assert facts["classes"] == ["normal", "pneumonia"]
    scale = {"mean": NORMALIZATION.mean, "std": NORMALIZATION.std, "levels": 4095}
    assert facts["normalization"] == scale
    assert set(facts["versions"]) >= {"medidd", "torch", "python"}


def test_images_stand_class_by_class(made: Made) -> None:
    labels = read_release(Run(made.path)).labels
    assert labels.argmax(1).tolist() == [0, 0, 0, 1, 1, 1]


def test_previews_show_the_release(made: Made) -> None:
    release = read_release(Run(made.path))
    for row in range(6):
        with Image.open(made.path / "previews" / f"class{row // 3}_{row % 3}.png") as picture:
            assert picture.size == (16, 16)
            shown = np.asarray(picture, dtype=float) / 65535
        np.testing.assert_allclose(shown, release.display[row, 0].numpy(), atol=1e-5)


@given(st.integers(2, 6), st.integers(0, 2**31))
def test_rounded_labels_sum_to_one_and_lie_within_a_thousandth(classes: int, seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    labels = torch.rand(5, classes, generator=rng).softmax(1)
    thousandths = rounded(labels).double() * 1000
    assert torch.equal(thousandths.round().sum(1), torch.full((5,), 1000.0, dtype=torch.float64))
    assert float((rounded(labels) - labels).abs().max()) < 0.001001
    assert (rounded(labels) >= 0).all()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([1.0, 0.0], [1.0, 0.0]),
        ([0.5, 0.5], [0.5, 0.5]),
        ([1 / 3, 1 / 3, 1 / 3], [0.334, 0.333, 0.333]),
        ([0.0004, 0.9996], [0.0, 1.0]),
        ([0.9999, 0.00005, 0.00005], [1.0, 0.0, 0.0]),
    ],
)
def test_thousandths_go_to_the_largest_remainders(
    given: list[float], expected: list[float]
) -> None:
    (row,) = rounded(torch.tensor([given])).tolist()
    assert sorted(row, reverse=True) == pytest.approx(sorted(expected, reverse=True))


def test_what_is_darker_than_black_or_brighter_than_white_is_clipped(tmp_path: Path) -> None:
    images = torch.tensor([-50.0, 50.0, 0.0, 0.0]).view(1, 1, 2, 2)
    synthetic = SyntheticSet(images, torch.tensor([[1.0, 0.0]]), torch.tensor(0.0))
    release = quantized(synthetic, {"ipc": 1})
    assert release.levels.flatten().tolist()[:2] == [0, 4095]
    middle = NORMALIZATION.display(torch.tensor(0.0)) * LEVELS
    assert release.levels.flatten().tolist()[2] == round(float(middle))
    assert float((release.images[0, 0, 1] - 0.0).abs().max()) < 1 / LEVELS / NORMALIZATION.std
    path = tmp_path / "synthetic.safetensors"
    path.write_bytes(release.to_bytes())
    assert Run(tmp_path).release == path
    again = read_release(Run(tmp_path))
    assert torch.equal(again.levels, release.levels)
    assert again.facts == release.facts


def test_the_order_of_facts_does_not_change_the_bytes() -> None:
    levels, labels = torch.zeros(1, 1, 2, 2, dtype=torch.uint16), torch.ones(1, 1)
    one = Release(levels, labels, {"a": 1, "b": 2}).to_bytes()
    assert one == Release(levels, labels, {"b": 2, "a": 1}).to_bytes()
