"""The configurations that medidd comes with, on what they are for, shortened."""

import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from invented_cohort import ROOT, Source, called

from pipelines.cli.options.shared import RECIPES
from pipelines.run.release_file import read_release
from pipelines.run.results import read_metrics
from pipelines.run.store import Run

SHORT = ("--size", 16, "--width", 4, "--device", "cpu")


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Gastric phantoms of six patients, with masks."""
    folder = tmp_path_factory.mktemp("gastric")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "sample_data"))
        before = set(sys.modules)
        import gastric

        result = CliRunner().invoke(gastric.main, ["--out", str(folder), "--patients", "6"])
        for name in {"gastric", "make", "film", "anatomy", "lungs", "rays"} - before:
            sys.modules.pop(name, None)
    assert result.exit_code == 0, result.output
    return folder


def test_gastric_films_become_an_image_of_each_class_of_patch(
    phantoms: Path, tmp_path: Path
) -> None:
    ended = called(
        *("distill", "-c", "gastric", "--dicom-dir", phantoms / "studies", *SHORT),
        *("--regions", phantoms / "masks", "--steps", 2, "--out", tmp_path / "run"),
    )
    assert ended.code == 0, ended.err
    release = read_release(Run(tmp_path / "run"))
    assert release.facts["classes"] == ["irrelevant", "negative", "positive"]
    assert (len(release.levels), release.facts["method"]) == (3, "soft-label")
    assert release.facts["reading"]["patches"]["frame"] == 2048
    metrics = read_metrics(Run(tmp_path / "run"))
    assert {"patient_auc", "patient_hm"} <= metrics["synthetic"].keys() & metrics["full"].keys()
    assert "patients, by the votes of their patches" in ended.out


@pytest.mark.usefixtures("no_rehearsal")
def test_the_chest_recipe_is_what_happens_by_default(source: Source, tmp_path: Path) -> None:
    asked = ("--dicom-dir", source.folder, *SHORT, "--dry-run", "--json")
    plain, ours = (
        called("distill", *asked, *more, "--out", tmp_path / "run").out
        for more in (("--ipc", 3, "--views", "FRONTAL"), ("-c", "chest"))
    )
    left_out = ("seconds", "memory_bytes")
    one, two = (
        {k: v for k, v in yaml.safe_load(o).items() if k not in left_out} for o in (plain, ours)
    )
    assert one == two


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_line_in_a_recipe_can_be_typed(path: Path) -> None:
    line = next(line for line in path.read_text().splitlines() if "medidd distill -c" in line)
    words = line.split("medidd distill", 1)[1].split()
    assert words[:2] == ["-c", path.stem]
    known = called("distill", "--help").out
    assert all(word in known for word in words if word.startswith("--"))


def test_a_recipe_that_does_not_exist_is_one_line(source: Source) -> None:
    ended = called("distill", "-c", "stomach", "--dicom-dir", source.folder)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "chest, gastric" in ended.err
