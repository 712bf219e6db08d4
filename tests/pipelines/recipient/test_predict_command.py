"""Films without labels get a row each, and no file is skipped silently."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
import torch
from invented_cohort import Source, called
from PIL import Image

from medidd.dicom.pixels.film import Shown, decoded
from medidd.dicom.reading import DEFAULT
from medidd.dicom.source import Source as File
from pipelines.models.model_file import read_model, write_model


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_film_has_a_row_and_every_other_file_a_reason(
    model: Path, source: Source, tmp_path: Path
) -> None:
    folder = tmp_path / "films"
    films = sorted(source.folder.rglob("*.dcm"))[:6]
    folder.mkdir()
    for number, path in enumerate(films):
        (folder / f"{number}.dcm").write_bytes(path.read_bytes())
    (folder / "cut.dcm").write_bytes(films[0].read_bytes()[:-500])
    (folder / "note.txt").write_text("no film")
    ended = called("predict", model, "--dicom-dir", folder, "--out", tmp_path / "said.csv")
    assert ended.code == 0, ended.err
    assert "6 films classified" in ended.out
    assert "1 pixels_truncated" in ended.out
    assert "1 not_dicom" in ended.out
    rows = rows_of(tmp_path / "said.csv")
    assert [row["file"] for row in rows] == [*(f"{n}.dcm" for n in range(6)), "cut.dcm"]
    assert rows[-1]["refused"].startswith("pixels_truncated")
    assert rows[-1]["class"] == ""
    classes = read_model(model).classes
    for row in rows[:-1]:
        shares = [float(row[name]) for name in classes]
        assert sum(shares) == pytest.approx(1, abs=1e-3)
        assert row["class"] == classes[int(np.argmax(shares))]
    assert (tmp_path / "said.csv").stat().st_mode & 0o077 == 0


def test_pictures_of_films_get_what_the_films_get(
    model: Path, source: Source, tmp_path: Path
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    films = tmp_path / "films"
    films.mkdir()
    for number, path in enumerate(sorted(source.folder.rglob("*.dcm"))[:4]):
        film = pydicom.dcmread(path)
        for keyword in ("WindowCenter", "WindowWidth", "VOILUTSequence"):
            if keyword in film:
                delattr(film, keyword)
        film.save_as(films / f"{number}.dcm")
        values = film.pixel_array.astype(np.uint16)
        if film.PhotometricInterpretation == "MONOCHROME1":
            values = values.max() + values.min() - values
        Image.fromarray(values).save(folder / f"{number}.png")
    said = []
    for option, place in (("--dicom-dir", films), ("--images", folder)):
        out = tmp_path / f"{place.name}.csv"
        ended = called("predict", model, option, place, "--out", out)
        assert ended.code == 0, ended.err
        said.append([[row[name] for name in read_model(model).classes] for row in rows_of(out)])
    assert np.allclose(*np.array(said, float), atol=2e-3)


def test_a_strange_film_is_named(model: Path, source: Source, tmp_path: Path) -> None:
    paths = sorted(source.folder.rglob("*.dcm"))[:6]
    shown = [decoded(File(path), 16, DEFAULT) for path in paths]
    mean = np.mean([one.levels / 65535 for one in shown if isinstance(one, Shown)], axis=0)
    found = read_model(model)
    clear = torch.from_numpy(mean).float().expand(len(found.released), 1, -1, -1)
    write_model(tmp_path / "model", replace(found, released=clear))  # images that tell a layout
    folder = tmp_path / "films"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (80, 80), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "noise.png")
    Image.fromarray((mean * 255).round().astype(np.uint8)).save(folder / "usual.png")
    out = tmp_path / "said.csv"
    ended = called("predict", tmp_path / "model", "--images", folder, "--out", out, "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["shift"]["films unlike"] == 1
    assert {row["file"]: bool(row["unlike"]) for row in rows_of(out)} == {
        "noise.png": True,
        "usual.png": False,
    }


def test_a_folder_without_films_writes_nothing(model: Path, tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "note.txt").write_text("no film")
    out = tmp_path / "said.csv"
    ended = called("predict", model, "--dicom-dir", tmp_path / "films", "--out", out)
    assert (ended.code, ended.err.count("\n")) == (3, 1)
    assert "no film that can be used" in ended.err
    assert not out.exists()
    out.write_text("mine")
    ended = called("predict", model, "--dicom-dir", tmp_path / "films", "--out", out)
    assert ended.code == 2
    assert out.read_text() == "mine"
    ended = called("predict", model, "--out", tmp_path / "other.csv")
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "--dicom-dir or by --images" in ended.err
