"""Films without DICOM, on the command line."""

import json
from pathlib import Path

import numpy as np
import pytest
from invented_cohort import SMALL, called
from PIL import Image


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """24 pictures of 12 invented patients with a table, in formats that occur."""
    root = tmp_path / "pictures"
    root.mkdir()
    lines = ["path,label,Patient"]
    for number in range(24):
        ill = number // 2 % 2
        pixels = np.random.default_rng(number).integers(0, 40000, (20, 20)).astype(np.uint16)
        pixels[6:12, 6:12] += np.uint16(20000 * ill)
        kind = ("png", "tif", "jpg")[number % 3]
        name = f"ZZPHI{number // 2:03}_{number:02}.{kind}"
        Image.fromarray((pixels >> 8).astype(np.uint8) if kind == "jpg" else pixels).save(
            root / name
        )
        lines.append(f"{name},{('well', 'ill')[ill]},ZZPHI{number // 2:03}")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    return root


PATIENTS = {
    "column": ("--patient-column", "Patient"),
    "pattern": ("--patient-pattern", r"^(ZZPHI\d+)_", "--target", "label"),
}


@pytest.mark.parametrize("kind", PATIENTS)
def test_pictures_are_read_and_learned_from(kind: str, pictures: Path, tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    options = ("--images", pictures, "--labels", table, *PATIENTS[kind])
    ended = called("ingest", *options, "--out", tmp_path / "films", "--json")
    assert ended.code == 0, ended.err
    answer = json.loads(ended.out)
    assert answer["films"] == {"ill": 12, "well": 12}
    assert answer["patients"] == {"ill": 6, "well": 6}
    assert answer["refused"] == {}
    out = tmp_path / "run"
    made = called("distill", *options, "--out", out, *SMALL, "--ipc", 1)
    assert made.code == 0, made.err
    assert (out / "synthetic.safetensors").is_file()
    audit = json.loads((out / "audit.json").read_text())
    assert "ZZPHI" not in ended.out + ended.err + made.out + made.err + json.dumps(audit)
    again = called("ingest", *options, "--out", tmp_path / "films", "--json")
    assert json.loads(again.out)["films"] == answer["films"]
    other = called("ingest", *options[:4], "--out", tmp_path / "films", "--target", "label")
    assert other.code != 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "Name the films by --dicom-dir or by --images"),
        (("--images", ".", "--dicom-dir", "."), "by one of both"),
        (("--images", ".", "--unit", "study"), "--unit: pictures name no study"),
        (
            ("--images", ".", "--patient-pattern", "("),
            "--patient-pattern: the patient pattern is no",
        ),
        (("--images", ".", "--patient-pattern", "a"), "has 0 groups in parentheses"),
        (
            ("--images", ".", "--patient-pattern", "(a)", "--patient-column", "b"),
            "the patient is in a column or in the file's name; name one",
        ),
    ],
)
def test_a_wrong_use_says_what_is_right(
    options: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = called("ingest", *options, "--out", "out")
    assert ended.code == 2
    assert said in " ".join(ended.err.replace("│", " ").split())
    assert not Path("out").exists()


def test_a_folder_of_pictures_names_the_option(pictures: Path, tmp_path: Path) -> None:
    options = ("--labels", tmp_path / "labels.csv", "--patient-column", "Patient")
    ended = called("ingest", "--dicom-dir", pictures, *options, "--out", tmp_path / "out")
    assert ended.code == 3
    assert "24 PNG, JPEG or TIFF files; if they are the films, use --images" in ended.err
