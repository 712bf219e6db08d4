"""The use "sharing between sites": its parts work, and its comparison is fair. On drawn films."""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from medidd.architectures import convnet
from medidd.data import NORMALIZATION
from medidd.dicom.pixels.film import Shown, decoded
from medidd.dicom.reading import DEFAULT
from medidd.dicom.source import Source
from medidd.evaluate import Training, train
from pipelines.run.release_file import Release
from privacy.release import Films

USES = Path(__file__).parents[2] / "docs" / "uses"


@pytest.fixture(scope="module")
def sharing() -> Iterator[ModuleType]:
    """The script, imported as it imports its own parts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(USES))
        import sharing

        yield sharing
    for name in [name for name in sys.modules if name.startswith("sharing")]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def part(sharing: ModuleType) -> Any:
    """Returns a module of the script by name."""
    beside = {name: of for name, of in sys.modules.items() if name.startswith(sharing.__name__)}
    return lambda name: beside[f"sharing_{name}"]


def drawn(count: int, size: int, seed: int) -> dict[str, Any]:
    """Films with a bright square if ill; two of every three patients have two films."""
    rng = np.random.default_rng(seed)
    of = np.sort(np.concatenate([np.arange(0, count), np.flatnonzero(np.arange(count) % 3)]))
    labels = of % 2
    images = rng.integers(40, 120, (len(of), size, size))
    images[:, 0, :2] = 0, 255
    images[labels == 1, size // 4 : size // 2, size // 4 : size // 2] += 100
    return {"images": images.astype(np.uint8), "labels": labels, "patient_ids": of.astype(str)}


def films(count: int, seed: int) -> Films:
    held = drawn(count, 16, seed)
    images = torch.from_numpy(held["images"]).float()[:, None] / 255
    return Films(images, torch.from_numpy(held["labels"]), held["patient_ids"].tolist())


def test_no_patient_is_at_two_sites_or_in_two_folds(part: Any) -> None:
    held = part("sites").shared_out(drawn(60, 16, 0), drawn(30, 16, 1), small=(6, 4))
    assert not set(held["A"].patients) & set(held["B"].patients)
    assert len({*held["A"].patients, *held["B"].patients}) == 60
    first = dict(zip(held["B"].patients, held["B"].labels, strict=True))
    assert np.bincount(list(first.values())).tolist() == [6, 4]
    for site in held.values():
        said = set(zip(site.patients, site.folds, strict=True))
        assert len(said) == len(set(site.patients))
        assert {fold for _, fold in said} == {0, 1, 2}


def test_films_that_are_known_copies_are_left_out(part: Any) -> None:
    twice = drawn(30, 16, 0)
    twice["duplicate_of"] = np.where(np.arange(len(twice["labels"])) == 7, 3, -1)
    held = part("sites").shared_out(twice, drawn(6, 16, 1), small=(4, 4))
    assert len(held["A"].labels) + len(held["B"].labels) == len(twice["labels"]) - 1


def test_medidd_undoes_what_a_header_tells_and_nothing_else(part: Any, tmp_path: Path) -> None:
    sites = part("sites")
    images = list(drawn(4, 32, 0)["images"])
    moved = {}
    for site in sites.SITES:
        (tmp_path / site.name).mkdir()
        moved[site.name] = sites.left_over(site.device, images, tmp_path / site.name, 16)
    assert max(moved["A"]) < 1e-3
    assert moved["B"][0] > 0.1
    assert moved["B"][1] < 1e-3
    assert min(moved["C"]) > 0.05
    plain = decoded(Source(tmp_path / "A" / "0-plain.dcm"), 16, DEFAULT)
    assert isinstance(plain, Shown)
    halved = images[0].reshape(16, 2, 16, 2).mean((1, 3)) / 255
    np.testing.assert_allclose(plain.levels / 65535, halved, atol=1e-3)


def test_one_round_at_one_site_is_ordinary_training(part: Any) -> None:
    f, some = convnet(2, 1, 16, width=4), films(9, 0)
    x, y = NORMALIZATION.standardize(some.images), torch.eye(2)[some.labels]
    how = Training(steps=6, batch=8)
    [last] = part("federated").rounds(f, [(x, y)], [1.0], 1, how, torch.Generator().manual_seed(3))
    theta = train(f, x, y, how, torch.Generator().manual_seed(3))
    begun = f.init(torch.Generator().manual_seed(3))
    for name, weight in last.common.items():
        torch.testing.assert_close(weight, theta[name])
    assert any(not torch.equal(last.common[name], begun[name]) for name in begun)


def test_common_weights_are_the_mean_by_films_and_all_steps_are_taken(part: Any) -> None:
    f, how = convnet(2, 1, 16, width=4), Training(steps=5, batch=4)
    sites = [
        (
            torch.randn(n, 1, 16, 16, generator=torch.Generator().manual_seed(n)),
            torch.eye(2)[[0] * n],
        )
        for n in (6, 2)
    ]
    shares = part("federated").by_films(sites)
    rng = torch.Generator().manual_seed(0)
    found = list(part("federated").rounds(f, sites, shares, 2, how, rng))
    assert len(found) == 2
    for one in found:
        for name, weight in one.common.items():
            torch.testing.assert_close(weight, 0.75 * one.sent[0][name] + 0.25 * one.sent[1][name])
    parts = [range(*part("federated")._part(how.steps, number, 2)) for number in range(2)]
    assert [step for steps in parts for step in steps] == list(range(how.steps))


@pytest.mark.parametrize("rounds", [1, 4])
def test_a_network_of_the_same_bytes_fits_and_a_wider_one_does_not(part: Any, rounds: int) -> None:
    federated, most = part("federated"), 6 * 64 * 64
    width = federated.widest(2, 64, rounds, most)
    sent = [
        federated.sent_by_a_site(convnet(2, 1, 64, width=one), rounds) for one in (width, width + 1)
    ]
    assert sent[0] <= most < sent[1]
    with pytest.raises(ValueError, match="hold no network"):
        federated.widest(2, 64, rounds, 10)


def released(classes: list[str], seed: int) -> Release:
    levels = torch.randint(256, (4, 1, 16, 16), generator=torch.Generator().manual_seed(seed))
    labels = torch.eye(2)[[0, 0, 1, 1]]
    return Release(levels.to(torch.uint8), labels, {"classes": classes, "ipc": 2})


def test_a_union_matches_classes_by_name(part: Any) -> None:
    two = [released(["normal", "pneumonia"], 0), released(["pneumonia", "normal"], 1)]
    images, labels = part("releases").united(two)
    assert torch.equal(images, torch.cat([one.images for one in two]))
    assert labels.argmax(1).tolist() == [0, 0, 1, 1, 1, 1, 0, 0]
    with pytest.raises(ValueError, match="no_finding"):
        part("releases").united([*two, released(["no_finding", "pneumonia"], 2)])


@pytest.fixture(scope="module")
def fold(part: Any) -> Any:
    learned = {name: films(24, n) for n, name in enumerate("ABC")}
    judged = {name: films(12 + n, 10 + n) for n, name in enumerate("ABC")}
    return part("comparison").Fold(learned, judged, 0)


def test_judged_films_teach_nobody(sharing: ModuleType, part: Any, fold: Any) -> None:
    """If those of two sites are others, all that is learned does the same at the third."""
    comparison = part("comparison")
    others = replace(fold, judged=fold.judged | {"B": films(15, 20), "C": films(9, 21)})
    names = [name for name in comparison.PARTS if name != "moments"]  # whose noise has no seed
    found = [
        {
            (line["row"], line["site"]): line["auc"]
            for name in names
            for line in comparison.Rows(one, sharing.QUICK).lines(name)
        }
        for one in (fold, others)
    ]
    assert len(found[0]) > 20
    for key, auc in found[0].items():
        assert key[1] != "A" or found[1][key] == auc
    assert found[0] != found[1]


def test_every_row_is_judged_on_the_same_patients(
    sharing: ModuleType, part: Any, fold: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    comparison, asked = part("comparison"), []
    score = comparison.score

    def noted(predicted: Any, labels: Any, patients: Any, **more: Any) -> Any:
        asked.append((len(predicted[0]), tuple(labels.tolist()), tuple(patients)))
        return score(predicted, labels, patients, **more)

    monkeypatch.setattr(comparison, "score", noted)
    rows = comparison.Rows(fold, sharing.QUICK)
    lines = [line for name in comparison.PARTS for line in rows.lines(name)]
    assert {line["row"] for line in lines} >= {
        *("moments: union", "rfad: union", "moments: C alone", "rfad: ensemble of the three"),
        *("random films: union", "films: pooled", "films: B alone", "FedAvg, 1 round"),
        "FedAvg, 2 rounds, sites alike",
    }
    assert len(asked) == 2 * len(lines)
    assert len(set(asked)) == len(fold.judged)


@pytest.mark.slow
def test_the_script_runs_from_films_to_table(sharing: ModuleType, tmp_path: Path) -> None:
    for name, count in (("kermany", 48), ("nih", 18)):
        np.savez(tmp_path / f"{name}.npz", **drawn(count, 32, count))
    work = tmp_path / "work"
    of_films = [f"--{name}={tmp_path / name}.npz" for name in ("kermany", "nih")]
    steps = ["--step=sites", "--step=comparison", "--step=table", "--seed=0", "--quick"]
    ran = CliRunner().invoke(sharing.main, [*of_films, f"--work={work}", *steps])
    assert ran.exit_code == 0, ran.output
    assert "| rfad: union |" in ran.output

    opened = sharing.opened(work, 0, sharing.QUICK)
    for site in sharing.SITES:
        of = [set(one[site.name].patients) for one in (opened.learned, opened.judged)]
        assert all(of)
        assert not of[0] & of[1]

    lines = (work / "results-16-ipc2.jsonl").read_text().splitlines()
    assert {json.loads(line)["seed"] for line in lines} == {0}
    again = CliRunner().invoke(sharing.main, [f"--work={work}", *steps[1:]])
    assert again.exit_code == 0
    assert (work / "results-16-ipc2.jsonl").read_text().splitlines() == lines
