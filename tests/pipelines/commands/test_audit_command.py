"""Audits by the user's own policy, with null releases of other people, by the unit asked for."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
import torch
from invented_cohort import (
    MATCHING,
    SAMPLE,
    SMALL,
    Made,
    Source,
    called,
    copied,
    distill,
    files_of,
    found_in,
    traces,
)
from own_policy import own_policy
from pydicom.uid import ExplicitVRLittleEndian

from pipelines.auditing.null_releases import COUNT, _drawn
from pipelines.learning.job import read_job
from pipelines.learning.opened_run import open_run
from pipelines.run.films import open_cohort
from pipelines.run.store import Run
from privacy.policy import FLOOR
from privacy.release import Films


@pytest.fixture(scope="module")
def strangers(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Patients of the sample who are not in ``source``, with their labels beside them."""
    return others(source, tmp_path_factory.mktemp("strangers") / "films", per_class=16)


def others(source: Source, to: Path, per_class: int) -> Path:
    rows = [line.split(",") for line in (SAMPLE / "labels.csv").read_text().splitlines()[1:]]
    label_of = {row[0]: row[-1] for row in rows}
    taken = dict.fromkeys(set(label_of.values()), 0)
    for folder in sorted((SAMPLE / "studies").iterdir(), key=lambda path: int(path.name)):
        film = pydicom.dcmread(next(folder.rglob("*.dcm")), stop_before_pixels=True)
        label = label_of[film.StudyInstanceUID]
        if film.StudyInstanceUID in source.patient_of or taken[label] == per_class:
            continue
        taken[label] += 1
        shutil.copytree(folder, to / folder.name)
    shutil.copy(SAMPLE / "labels.csv", to.parent)
    return to


@pytest.fixture(scope="module")
def calibrated(made: Made, strangers: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run audited with null releases of strangers; not to be changed."""
    run = Run(copied(made.path, tmp_path_factory.mktemp("calibrated") / "run"))
    ended = called("audit", run.path, "--reference", strangers)
    assert ended.code == 0, ended.err
    lines = ended.err.splitlines()
    assert lines[0].startswith("read reference: ")
    assert lines[1].startswith("null releases: 0/5, about ")
    assert [line.partition(":")[0] for line in lines[2:]] == [
        *(f"null release {number} of 5" for number in range(1, 6)),
        *("train for the audit", "audit (standard)"),
    ]
    return run


def test_null_releases_can_be_made_of_other_people(calibrated: Run, made: Made) -> None:
    said = json.loads(calibrated.audit.read_text())
    assert said["null releases"] == "reference"
    (attack,) = [one for one in said["findings"] if one["audit"] == "A2"]
    assert attack["details"]["null releases"] is True
    own = Run(copied(made.path, calibrated.path.parent / "own"))
    assert called("audit", own.path).code == 0
    assert json.loads(own.audit.read_text())["null releases"] == "none"  # too few controls


def test_the_same_reference_gives_the_same_audit_and_another_its_own_nulls(
    calibrated: Run, source: Source, tmp_path: Path
) -> None:
    run = Run(copied(calibrated.path, tmp_path / "run"))
    first = run.audit.read_bytes()
    reference = tmp_path / "again" / "films"
    shutil.copytree(others(source, tmp_path / "once" / "films", per_class=16), reference)
    shutil.copy(tmp_path / "once" / "labels.csv", tmp_path / "again")
    ended = called("audit", run.path, "--reference", reference)
    assert ended.code == 0, ended.err
    assert run.audit.read_bytes() == first
    fewer = others(source, tmp_path / "fewer" / "films", per_class=8)
    assert called("audit", run.path, "--reference", fewer).code == 0
    assert len(list((run.private / "nulls").glob("reference-*"))) == 2
    assert run.audit.read_bytes() != first


def test_each_null_is_made_of_as_many_strangers_a_class_as_there_are_controls() -> None:
    """Against a naive count; one patient has films of both classes and counts in the lower."""
    labels = torch.tensor([0] * 9 + [1] * 7 + [1])
    films = Films(torch.zeros(17, 1, 2, 2), labels, [f"s{i}" for i in range(16)] + ["s0"])
    like: dict[int, list[object]] = {0: ["c0", "c1", "c2"], 1: ["c3"] * 40}
    draws = [_drawn(films, like, torch.Generator().manual_seed(seed)) for seed in range(COUNT)]
    low = {f"s{i}" for i in range(9)}
    for drawn in draws:
        assert len(drawn & low) == 3
        assert drawn - low == {f"s{i}" for i in range(9, 16)}
    assert len({frozenset(drawn) for drawn in draws}) > 1


def test_nothing_of_a_reference_names_anybody(
    calibrated: Run, strangers: Path, source: Source
) -> None:
    texts = [(name, path.read_bytes()) for name, path in files_of(calibrated.path).items()]
    assert "private/reference/films.jsonl" in dict(texts)
    films = [pydicom.dcmread(path, stop_before_pixels=True) for path in strangers.rglob("*.dcm")]
    wanted = [str(strangers).encode(), b"SMP-", *(one.SOPInstanceUID.encode() for one in films)]
    wanted += [one.StudyInstanceUID.encode() for one in films]
    assert found_in(texts, [*wanted, *traces(source)]) == []


def test_a_reference_trains_experts_of_its_own(
    source: Source, experts: Made, strangers: Path, tmp_path: Path
) -> None:
    run = Run(tmp_path / "run")
    matching = ("--method", "mtt", "--experts", experts.path, *MATCHING)
    arguments = ("--dicom-dir", source.folder, "--ipc", 1, *SMALL, *matching, "--out", run.path)
    ended = called("distill", *arguments)
    assert ended.code == 0, ended.err
    ended = called("audit", run.path, "--reference", strangers)
    assert ended.code == 0, ended.err
    assert "plus their experts" in ended.err
    trained = {path.parent.name for path in run.private.glob("nulls/reference-*/*/expert-0001.npy")}
    assert trained == {f"{number}-experts" for number in range(COUNT)}


def same_object(folder: Path, source: Source) -> None:
    """A film of the cohort under another PatientID."""
    for path in sorted(source.folder.rglob("*.dcm"))[:1]:
        film = pydicom.dcmread(path)
        film.PatientID = "SMP-9999"
        film.save_as(folder / "copy.dcm")


def same_pixels(folder: Path, source: Source) -> None:
    """A film of the cohort under another name altogether."""
    film = pydicom.dcmread(sorted(source.folder.rglob("*.dcm"))[0])
    stranger = pydicom.dcmread(sorted(folder.rglob("*.dcm"))[0], stop_before_pixels=True)
    film.PatientID, film.SOPInstanceUID = stranger.PatientID, "2.25.12345"
    film.file_meta.MediaStorageSOPInstanceUID = "2.25.12345"
    film.StudyInstanceUID = stranger.StudyInstanceUID
    film.save_as(folder / "copy.dcm")


def same_patient(folder: Path, source: Source) -> None:
    """Another film of a patient of the cohort."""
    path = sorted(folder.rglob("*.dcm"))[0]
    film = pydicom.dcmread(path)
    film.PatientID = sorted(source.patient_of.values())[0]
    film.save_as(path)


def two_classes(folder: Path, source: Source) -> None:  # noqa: ARG001
    table = folder.parent / "labels.csv"
    table.write_text(table.read_text().replace(",normal", ",healthy"))


def no_labels(folder: Path, source: Source) -> None:  # noqa: ARG001
    (folder.parent / "labels.csv").write_text("StudyInstanceUID,label\n1.2.3,normal\n")


def broken(folder: Path, source: Source) -> None:  # noqa: ARG001
    for path in sorted(folder.rglob("*.dcm"))[::2]:
        path.write_bytes(path.read_bytes()[:-5000])


def too_few(folder: Path, source: Source) -> None:
    shutil.rmtree(folder)
    others(source, folder, per_class=2)
    for patient in folder.iterdir():
        for path in sorted(patient.rglob("*.dcm"))[1:]:
            path.unlink()


Spoil = Callable[[Path, Source], None]
BAD: dict[str, tuple[Spoil, int, tuple[str, ...]]] = {
    "an object of the cohort": (same_object, 3, ("1 of its patients", "remove these patients")),
    "pixels of the cohort": (same_pixels, 3, ("1 of its patients", "equal pixels")),
    "a patient of the cohort": (same_patient, 3, ("1 of its patients",)),
    "other classes": (two_classes, 3, ("normal, pneumonia", "--reference-labels")),
    "no labels": (no_labels, 3, ("has a label",)),
    "too many unusable files": (broken, 4, ("files refused",)),
    "too few films of a class": (too_few, 3, ("2 films of a class and needs 3", "--reference")),
}


@pytest.mark.parametrize("name", BAD)
def test_a_reference_that_will_not_do_is_refused_and_leaves_the_audit(
    made: Made, source: Source, strangers: Path, tmp_path: Path, name: str
) -> None:
    spoil, code, words = BAD[name]
    run = Run(copied(made.path, tmp_path / "run"))
    folder = tmp_path / "films"
    shutil.copytree(strangers, folder)
    shutil.copy(strangers.parent / "labels.csv", tmp_path)
    spoil(folder, source)
    before = run.audit.read_bytes()
    ended = called("audit", run.path, "--reference", folder)
    assert ended.code == code, ended.err
    line = ended.err.splitlines()[-1]
    assert [word for word in words if word not in line] == [], line
    assert run.audit.read_bytes() == before
    assert found_in([("err", ended.err.encode())], [b"SMP-", b"ZZPHI", b"2.25."]) == []


def test_the_users_policy_takes_the_place_of_the_whole_of_medidds(
    made: Made, tmp_path: Path
) -> None:
    run = Run(copied(made.path, tmp_path / "run"))
    policy = tmp_path / "policy.toml"
    chosen = {"screen": [*FLOOR, "A2"]}
    policy.write_text(own_policy(required=chosen, residual_risk=0.2))
    assert called("audit", run.path, "--policy", policy, "--level", "screen").code == 0
    said = json.loads(run.audit.read_text())
    assert said["policy"]["residual_risk"] == 0.2
    assert [one["audit"] for one in said["findings"]] == [*FLOOR, "A2"]
    assert said["findings"][0]["limit"] == 5
    assert called("audit", run.path, "--level", "screen").code == 0
    again = json.loads(run.audit.read_text())
    assert again["policy"]["residual_risk"] == 0.09
    assert [one["audit"] for one in again["findings"]] == again["policy"]["required"]["screen"]


def films_without_patients(source: Source, to: Path, change: Callable[[int], str]) -> Path:
    """A copy of a folder whose first three patients have another PatientID."""
    shutil.copytree(source.folder, to)
    shutil.copy(source.labels, to.parent)
    for number in range(3):
        for path in (to / str(number)).rglob("*.dcm"):
            film = pydicom.dcmread(path)
            film.PatientID = change(number)
            film.save_as(path)
    return to


@pytest.mark.parametrize("unit", ["patient", "study", "image"])
def test_films_without_patient_id_are_told_of_and_the_audit_does_not_know_the_unit(
    source: Source, tmp_path: Path, unit: str
) -> None:
    films = films_without_patients(source, tmp_path / "studies", lambda _: "")
    run = Run(tmp_path / "run")
    arguments = ("distill", "--dicom-dir", films, "--ipc", 1, *SMALL, "--unit", unit)
    dry, ended = called(*arguments, "--dry-run"), called(*arguments, "--out", run.path)
    assert ended.code == 0, ended.err
    missing = sum(1 for number in range(3) for _ in (films / str(number)).rglob("*.dcm"))
    said = f"{missing} films have no PatientID"
    for told in (dry.out, ended.out):
        assert (said in told) == (unit == "patient")
        assert ("--unit study" in told) == (unit == "patient")
    assert json.loads(run.audit.read_text())["unit"] == ("" if unit == "patient" else unit)
    assert read_job(run).unit == unit
    cohort = open_cohort(run)
    assert (cohort.unit, cohort.unnamed) == (unit, missing)
    counted = {"study": len(source.patient_of), "image": len(cohort.labels)}
    expected = counted.get(unit, len(set(source.patient_of.values())))
    assert len(set(cohort.patients)) == expected


def test_a_cohort_with_all_patients_is_audited_by_patient(made: Made) -> None:
    assert json.loads(Run(made.path).audit.read_text())["unit"] == "patient"
    assert "PatientID" not in made.ended.out


def test_a_run_with_another_unit_is_another_run(made: Made, source: Source) -> None:
    ended = distill(source, made.path, "--resume", "--unit", "study")
    assert ended.code == 2
    assert "differs in unit;" in ended.err


def test_roles_hang_on_no_pixel(made: Made, source: Source, tmp_path: Path) -> None:
    """The same patients with other films are held out alike."""
    films = tmp_path / "studies"
    shutil.copytree(source.folder, films)
    shutil.copy(source.labels, tmp_path)
    draw = np.random.default_rng(0)
    for path in sorted(films.rglob("*.dcm")):
        film = pydicom.dcmread(path)
        drawn = draw.integers(0, 4096, (film.Rows, film.Columns), np.uint16)
        film.PixelData, film.file_meta.TransferSyntaxUID = drawn.tobytes(), ExplicitVRLittleEndian
        film["PixelData"].is_undefined_length = False
        film.save_as(path, enforce_file_format=True)
    ended = called("distill", "--dicom-dir", films, "--ipc", 3, *SMALL, "--out", tmp_path / "run")
    assert ended.code == 0, ended.err
    assert json.loads(Run(tmp_path / "run").ledger.read_text()) == json.loads(
        Run(made.path).ledger.read_text()
    )


def test_patients_with_an_equal_film_have_one_role(source: Source, tmp_path: Path) -> None:
    """However the coins of the two fall; several pairs, so that some would fall apart."""
    films = tmp_path / "studies"
    shutil.copytree(source.folder, films)
    shutil.copy(source.labels, tmp_path)
    label_of = dict(line.split(",") for line in source.labels.read_text().splitlines()[1:])
    shown: dict[str, list[Path]] = {}
    for folder in sorted(films.iterdir(), key=lambda path: int(path.name)):
        path = sorted(folder.rglob("*.dcm"))[0]
        study = pydicom.dcmread(path, stop_before_pixels=True).StudyInstanceUID
        shown.setdefault(label_of[study], []).append(path)
    for paths in shown.values():
        for one, other in zip(paths[:12:2], paths[1:12:2], strict=True):
            film, copy = pydicom.dcmread(one), pydicom.dcmread(other)
            for keyword in ("PatientID", "StudyInstanceUID", "SOPInstanceUID"):
                setattr(film, keyword, copy[keyword].value)
            film.file_meta.MediaStorageSOPInstanceUID = film.SOPInstanceUID
            film.save_as(other)
    run = Run(tmp_path / "run")
    assert called("distill", "--dicom-dir", films, "--ipc", 1, *SMALL, "--out", run.path).code == 0
    patients = open_run(run).patients
    assert len(patients.roles) == 40 - 12
    images = patients.cohort.images.reshape(len(patients.cohort.images), -1)
    twins = (images[:, None] == images[None]).all(-1)
    roles = np.array([patients.roles[str(one)] for one in patients.cohort.patients])
    assert twins.sum() == len(images) + 2 * 12
    assert (roles[:, None] == roles[None])[twins].all()


def test_traits_of_films_reach_the_audits(made: Made) -> None:
    films = open_run(Run(made.path)).patients.members
    assert set(films.traits) == {"sex", "age", "device"}
    assert set(films.traits["sex"]) <= {"M", "F", "O", ""}
    assert len({word for word in films.traits["age"] if word}) > 1
    assert all(len(word) in (0, 8) for word in films.traits["device"])
    assert all(len(words) == len(films) for words in films.traits.values())
