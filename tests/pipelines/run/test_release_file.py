"""The release file: 8-bit levels, labels in hundredths, one metadata key, the same bytes."""

import json
from dataclasses import replace
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
from pipelines.run.errors import Stop
from pipelines.run.release_file import LEVELS, Release, diffused, quantized, read_release, rounded
from pipelines.run.store import Run
from privacy.release import BOUND, FREE


def test_a_release_holds_levels_labels_and_one_line_of_facts(made: Made) -> None:
    with safe_open(made.path / "synthetic.safetensors", "pt") as file:
        assert sorted(file.keys()) == ["images", "labels"]
        images, labels = file.get_tensor("images"), file.get_tensor("labels")
        metadata = file.metadata()
    assert images.dtype == torch.uint8
    assert images.shape == (6, 1, 16, 16)
    assert int(images.to(torch.int32).max()) <= 255
    assert labels.dtype == torch.float32
    assert labels.shape == (6, 2)
    assert torch.equal(labels, (labels.double() * 100).round().div(100).float())
    torch.testing.assert_close(labels.sum(1), torch.ones(6))
    assert list(metadata) == ["medidd"]
    facts = json.loads(metadata["medidd"])
    assert metadata["medidd"] == json.dumps(facts, sort_keys=True)
    assert set(facts) >= {"method", "ipc", "classes", "normalization", "seed", "versions"}
    assert (facts["method"], facts["ipc"], facts["seed"]) == ("dm", 3, 0)
    assert facts["classes"] == ["normal", "pneumonia"]
    scale = {"mean": NORMALIZATION.mean, "std": NORMALIZATION.std, "levels": 255}
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
            shown = np.asarray(picture, dtype=float) / 255
        np.testing.assert_allclose(shown, release.display[row, 0].numpy(), atol=1e-5)


@given(st.integers(2, 6), st.integers(0, 2**31))
def test_rounded_labels_sum_to_one_and_lie_within_a_hundredth(classes: int, seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    labels = torch.rand(5, classes, generator=rng).softmax(1)
    hundredths = rounded(labels).double() * 100
    assert torch.equal(hundredths.round().sum(1), torch.full((5,), 100.0, dtype=torch.float64))
    assert float((rounded(labels) - labels).abs().max()) < 0.01001
    assert (rounded(labels) >= 0).all()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([1.0, 0.0], [1.0, 0.0]),
        ([0.5, 0.5], [0.5, 0.5]),
        ([1 / 3, 1 / 3, 1 / 3], [0.34, 0.33, 0.33]),
        ([0.004, 0.996], [0.0, 1.0]),
        ([0.999, 0.0005, 0.0005], [1.0, 0.0, 0.0]),
    ],
)
def test_hundredths_go_to_the_largest_remainders(given: list[float], expected: list[float]) -> None:
    (row,) = rounded(torch.tensor([given])).tolist()
    assert sorted(row, reverse=True) == pytest.approx(sorted(expected, reverse=True))


def test_what_rounding_takes_from_an_intensity_its_neighbours_get() -> None:
    rng = torch.Generator().manual_seed(0)
    display = torch.rand(2, 1, 9, 7, generator=rng).mul(1.2).sub(0.1).clamp(0, 1)
    left = display.double() * 255
    for r in range(9):
        for c in range(7):
            level = left[:, 0, r, c].round().clamp(0, 255)
            error = (left[:, 0, r, c] - level).clamp(-0.5, 0.5)
            left[:, 0, r, c] = level
            for down, right, share in ((0, 1, 7), (1, -1, 3), (1, 0, 5), (1, 1, 1)):
                if r + down < 9 and 0 <= c + right < 7:
                    left[:, 0, r + down, c + right] += error * share / 16
    levels = diffused(display, 255)
    torch.testing.assert_close(levels, left, atol=0, rtol=0)
    assert torch.equal(diffused((levels / 255).float(), 255), levels)
    smooth = torch.linspace(0.3, 0.31, 32).expand(1, 1, 32, 32)
    coarse = torch.nn.functional.avg_pool2d(diffused(smooth, 255) - smooth.double() * 255, 8)
    nearest = torch.nn.functional.avg_pool2d((smooth * 255).round() - smooth * 255, 8)
    assert float(coarse.abs().max()) < 0.1 < float(nearest.abs().max())


def test_labels_that_are_no_probabilities_keep_their_order_within_the_bound() -> None:
    free = torch.tensor([[-1.094, 2.094], [0.5, 0.5], [-0.002, 1.002]])
    expected = torch.tensor([[-1.09, 2.09], [0.5, 0.5], [0.0, 1.0]])
    assert torch.equal(rounded(free, FREE), expected)
    assert not rounded(free, FREE)[2].signbit().any()
    wide = torch.tensor([[-11.5, 12.5], [1.5, -0.5], [0.5, 0.5]])
    within = rounded(wide, FREE)
    assert float(within.abs().max()) == BOUND
    torch.testing.assert_close(within - 0.5, (wide - 0.5) * 3.5 / 12, atol=0.00501, rtol=0)


def test_a_release_of_finer_levels_is_of_another_version(made: Made, tmp_path: Path) -> None:
    release = read_release(Run(made.path))
    finer = replace(release, levels=(release.levels.to(torch.int32) * 16).to(torch.uint16))
    (tmp_path / "synthetic.safetensors").write_bytes(finer.to_bytes())
    with pytest.raises(Stop, match="another version of medidd"):
        read_release(Run(tmp_path))


def test_what_is_darker_than_black_or_brighter_than_white_is_clipped(tmp_path: Path) -> None:
    images = torch.tensor([-50.0, 50.0, 0.0, 0.0]).view(1, 1, 2, 2)
    synthetic = SyntheticSet(images, torch.tensor([[1.0, 0.0]]), torch.tensor(0.0))
    release = quantized(synthetic, {"ipc": 1})
    assert release.levels.flatten().tolist()[:2] == [0, 255]
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
    levels, labels = torch.zeros(1, 1, 2, 2, dtype=torch.uint8), torch.ones(1, 1)
    one = Release(levels, labels, {"a": 1, "b": 2}).to_bytes()
    assert one == Release(levels, labels, {"b": 2, "a": 1}).to_bytes()
