"""own.py of a bundle: the method's own classifier, from the released file and nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from medidd.data import NORMALIZATION
from medidd.dicom.reading import DEFAULT
from medidd.distill import Classifies, Prepares, distill
from medidd.evaluate import RECIPIENT
from medidd.features import LowFrequencies
from medidd.kernels import KERNELS
from medidd.methods import METHODS
from pipelines.evaluation.utility import told
from pipelines.learning.asking import plainly
from pipelines.learning.job import FrozenJob
from pipelines.learning.recipe import usual_start
from pipelines.run.release_file import LEVELS, Release, quantized, step_sizes
from privacy.release import Films

WIDTH, SIZE, NETWORKS = 4, 16, 3

MADE: dict[str, tuple[str, dict[str, Any]]] = {
    "kip": ("kip", {}),
    "kip, another ridge": ("kip", {"ridge": 0.1}),
    "kip, convolutions": ("kip", {"kernel": "conv"}),
    "kip, free labels": ("kip", {"lr_labels": 0.5, "constraint": "none"}),
    "kip, convolutions, free labels": (
        "kip",
        {"kernel": "conv", "lr_labels": 0.5, "constraint": "none"},
    ),
    "label-solve": ("label-solve", {}),
    "label-solve, convolutions, free labels": (
        "label-solve",
        {"kernel": "conv", "constraint": "none"},
    ),
    "moments": ("moments", {"refined": 2}),
    "dd": ("dd", {"batches": 2, "epochs": 3}),
    "dd, given weights": ("dd", {"batches": 2, "epochs": 3, "weights_seed": 5}),
    "soft-label": ("soft-label", {"horizon": 7, "window": 3, "lr_labels": 0.1}),
    "soft-label, given weights": (
        "soft-label",
        {"horizon": 7, "window": 3, "weights_seed": 5, "network": "lenet"},
    ),
    "soft-label, several networks": (
        "soft-label",
        {"horizon": 7, "window": 3, "network": "convnet+mlp+convnet-shallow"},
    ),
    "rfad": ("rfad", {}),
    "rfad, learned labels": ("rfad", {"lr_labels": 0.1, "network": "convnet-wide"}),
    "rfad, several networks": ("rfad", {"network": "mlp+lenet", "ridge": 0.01}),
    "frepo": ("frepo", {"online": 20, "lr_net": 0.01}),
    "frepo, untrained": ("frepo", {"online": 0}),
}
"""Methods and their fields."""

every_release = pytest.mark.parametrize("kind", MADE)


def films(n: int) -> Tensor:
    """Display values of invented films: the classes differ in where they are bright."""
    noise = torch.rand(n, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    ramp = torch.linspace(0, 1, SIZE)
    return (noise + torch.stack([ramp, ramp.flip(0)]).repeat(n // 2, 1)[:, None, None]) / 2


@dataclass(frozen=True)
class Left:
    """A release on disk, beside what medidd knows of it."""

    path: Path
    release: Release
    method: Any


def left(name: str, settings: Mapping[str, Any], folder: Path, ipc: int = 2) -> Left:
    """Makes a release in four steps as a run does, and writes its file."""
    frozen = FrozenJob(
        source="",
        labelling={},
        unit="patient",
        method=name,
        start=usual_start(name, private=False),
        ipc=ipc,
        size=SIZE,
        steps=4 if name not in ("label-solve", "moments") else 1,
        preset="default",
        settings=settings,
        experts=None,
        width=WIDTH,
        seed=0,
        device_name="cpu",
        threads=1,
        max_refused=0.0,
        reading=DEFAULT,
    )
    made, rng = frozen.recipe(2), torch.Generator().manual_seed(0)
    real = Films(films(24), torch.arange(24) % 2, [str(n) for n in range(24)])
    s = made.begun(NORMALIZATION.standardize(real.images), real.labels, rng)
    asked = plainly(made.releases, 2, real, torch.device("cpu"), rng)
    assert made.method is not None
    list(distill(made.method, s, asked, steps=made.steps, rng=rng))
    scale = {"mean": NORMALIZATION.mean, "std": NORMALIZATION.std, "levels": LEVELS}
    facts = frozen.facts(("clear", "dull"), scale) | {"training": told(RECIPIENT, WIDTH)}
    facts["training"]["networks"] = NETWORKS
    if isinstance(made.method, Prepares):
        facts["step sizes"] = step_sizes(s)
    release = quantized(s, facts, made.digits)
    path = folder / "synthetic.safetensors"
    path.write_bytes(release.to_bytes())
    return Left(path, release, made.method)


@every_release
def test_own_py_is_the_methods_own_classifier(
    code: SimpleNamespace, kind: str, tmp_path: Path
) -> None:
    made = left(*MADE[kind], tmp_path)
    seen = NORMALIZATION.standardize(films(30))
    own = code.own.classifier(seed=3, release=made.path, many=1)(seen)
    rng, released = torch.Generator().manual_seed(3), made.release.synthetic(torch.device("cpu"))
    theirs = made.method.classifier(released, rng)(seen)
    assert own.dtype == seen.dtype
    torch.testing.assert_close(own, theirs.detach(), rtol=0, atol=1e-5)
    assert own[:, 1].std() > 1e-3, "a classifier that says the same of all films shows nothing"
    others = [made.method.classifier(released, rng)(seen) for _ in range(NETWORKS - 1)]
    mean = torch.stack([theirs, *others]).mean(0).detach()
    several = code.own.classifier(seed=3, release=made.path)(seen)
    torch.testing.assert_close(several, mean, rtol=0, atol=1e-5)
    if "free labels" in kind:
        assert made.release.labels.min() < 0


@pytest.mark.parametrize(
    ("kind", "random"),
    [
        ("kip", False),
        ("moments", False),
        ("dd", True),
        ("dd, given weights", False),
        ("rfad", True),
    ],
)
def test_another_seed_is_another_classifier_only_where_networks_are_drawn(
    code: SimpleNamespace, kind: str, random: bool, tmp_path: Path
) -> None:
    made, seen = left(*MADE[kind], tmp_path), NORMALIZATION.standardize(films(30))
    one, other = (code.own.classifier(seed, made.path)(seen) for seed in (0, 1))
    assert torch.equal(one, other) is not random


def test_every_method_with_a_classifier_of_its_own_has_it_here(code: SimpleNamespace) -> None:
    with_own = {name for name, kind in METHODS.items() if isinstance(kind, Classifies)}
    assert with_own == set(code.own.CLASSIFIERS) == {name for name, _ in MADE.values()}


@pytest.mark.parametrize("name", ["dm", "class-mean"])
def test_another_method_is_one_line_that_says_what_to_use(
    code: SimpleNamespace, name: str, tmp_path: Path
) -> None:
    made = left(name, {}, tmp_path)
    said = f"the method {name} has no classifier of its own; use train.py"
    with pytest.raises(ValueError, match=said):
        code.own.classifier(release=made.path)


def test_the_regression_of_moments_sees_what_is_just_above_rounding(
    code: SimpleNamespace, tmp_path: Path
) -> None:
    made = left("moments", {"refined": 0}, tmp_path)
    made.release.levels[1] = made.release.levels[0]
    made.release.levels[1, 0, :4] = made.release.levels[0, 0, :4] ^ 1
    made.path.write_bytes(made.release.to_bytes())
    seen = NORMALIZATION.standardize(films(30))
    theirs = made.method.classifier(made.release.synthetic(torch.device("cpu")), torch.Generator())(
        seen
    )
    own = code.own.classifier(release=made.path)(seen)
    torch.testing.assert_close(own, theirs, rtol=0, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 9, 21), (1, 8, 8)])
def test_kernels_and_features_are_medidds(
    code: SimpleNamespace, shape: tuple[int, int, int]
) -> None:
    x = torch.randn(5, *shape, generator=torch.Generator().manual_seed(0))
    x[0] = x[0].sign() * 2
    x[1] = 2  # longer than 1 as features, so that it is clipped
    assert LowFrequencies()(x[1:2] / 1.05).norm() == pytest.approx(1)
    torch.testing.assert_close(code.kernels.low_frequencies(x), LowFrequencies()(x.double()))
    y = torch.cat([x[:2], x[3:] / 3])
    assert list(code.kernels.KERNELS) == list(KERNELS)
    for name, make in KERNELS.items():
        torch.testing.assert_close(code.kernels.KERNELS[name](x, y), make()(x, y))


def test_many_films_are_scored_in_parts(
    code: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, seen = left("kip", {"kernel": "conv"}, tmp_path), NORMALIZATION.standardize(films(300))
    whole = code.own.classifier(release=made.path)(seen)
    monkeypatch.setattr(code.kernels, "MOST", 2000)
    in_parts = code.own.classifier(release=made.path)(seen)
    assert len(whole) == 300
    torch.testing.assert_close(in_parts, whole)
