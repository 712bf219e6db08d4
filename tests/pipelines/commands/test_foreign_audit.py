"""The audit of somebody else's set: what leaks fails, and nothing passes that was not asked."""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import pytest
import torch
from invented_cohort import (
    MARK,
    Ended,
    Made,
    Source,
    called,
    copied,
    files_of,
    found_in,
    plant,
    traces,
    tree,
)
from torch import Tensor

from medidd.dicom.folder.cohort import Cohort
from pipelines.commands import audit_foreign
from pipelines.run.store import Json, Run, read_json
from privacy.policy import Level, load_policy
from privacy.threats import QUESTIONS

SIDE = 16
SMALL = ("--device", "cpu", "--width", 4)
SCALE = ("--mean", 0.5, "--std", 0.25)


@dataclass(frozen=True)
class Sides:
    """Where the films of members and controls are, as DICOM or as arrays."""

    members: Path
    controls: Path


def parted(source: Source, folder: Path, members: set[str]) -> Sides:
    """Copies the studies of these PatientIDs to one side, all others to the other."""
    for path in sorted(source.folder.rglob("*.dcm")):
        patient = str(pydicom.dcmread(path, stop_before_pixels=True).PatientID)
        side = folder / ("members" if patient in members else "controls")
        target = side / "studies" / path.relative_to(source.folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
        shutil.copy(source.labels, side / "labels.csv")
    return Sides(folder / "members" / "studies", folder / "controls" / "studies")


def patients_of(source: Source) -> list[str]:
    return sorted(set(source.patient_of.values()))


@pytest.fixture(scope="module", autouse=True)
def few_networks() -> Iterator[None]:
    """Two networks to trace with, as recipients here train for a moment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audit_foreign, "NETWORKS", 2)
        yield


@pytest.fixture(autouse=True)
def no_internal_report(screened: Made, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    """The report's pictures take longer than the audits: only ``screened`` has them drawn."""
    monkeypatch.setattr(audit_foreign, "write_internal", lambda *_, **__: None)


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """Patients enough for two images of either class."""
    return plant(tmp_path_factory.mktemp("foreign"), per_class=52)


def noise(seed: int) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    images = (0.5 + 0.2 * torch.randn(4, 1, SIDE, SIDE, generator=rng)).clamp(0, 1)
    return (images * 255).round() / 255


def saved(path: Path, images: Tensor) -> Path:
    """Saves four images, two of either class, in 256 grays."""
    grays = (images * 255).round().to(torch.uint8)
    np.savez(path, images=grays, labels=np.arange(4) // 2)
    return path


def published(path: Path, *sets: Tensor) -> Path:
    """Saves sets, two images of either class each, as the published code of DC does."""
    labels = torch.arange(2).repeat_interleave(2)
    held = [[(images - 0.5) / 0.25, labels] for images in sets]
    torch.save({"data": held, "accs_all_exps": {"ConvNet": [np.float64(71.5)]}}, path)
    return path


def audit(sides: Sides, release: Path, out: Path, *more: object) -> Ended:
    scale = SCALE if release.suffix == ".pt" else ()
    both = ("--members", sides.members, "--controls", sides.controls)
    return called("audit", "--release", release, *both, "--out", out, *scale, *SMALL, *more)


def found(out: Path, name: str) -> Json:
    (finding,) = (f for f in read_json(out / "audit.json")["findings"] if f["audit"] == name)
    return finding


@pytest.fixture(scope="module")
def screened(big: Source) -> Made:
    """The audit of noise on DICOM films, without a null release; not to be changed."""
    folder = big.folder.parent
    sides = parted(big, folder / "sides", set(patients_of(big)[::2]))
    ended = audit(sides, saved(folder / "noise.npz", noise(0)), folder / "screened")
    assert ended.code == 0, ended.err
    return Made(folder / "screened", ended, big)


@pytest.fixture(scope="module")
def films(screened: Made) -> dict[str, Cohort]:
    return {role: Cohort.open(screened.path / "private" / role) for role in ("members", "controls")}


@pytest.fixture(scope="module")
def house(screened: Made, films: dict[str, Cohort]) -> Sides:
    """The same films as arrays, which are read in no time."""
    folder = screened.path.parent
    for role, cohort in films.items():
        kept(folder / f"{role}.npz", cohort, range(len(cohort.labels)))
    return Sides(folder / "members.npz", folder / "controls.npz")


def kept(path: Path, cohort: Cohort, rows: Sequence[int], **changed: object) -> Path:
    """Keeps films as arrays."""
    chosen = list(rows)
    arrays = {
        "images": cohort.images[chosen],
        "labels": cohort.labels[chosen],
        "patient_ids": [f"{MARK}{patient}" for patient in cohort.patients[chosen]],
        "class_names": cohort.classes,
    }
    np.savez(path, **(arrays | changed))  # type: ignore[arg-type]
    return path


def shown(cohort: Cohort, rows: list[int]) -> Tensor:
    return torch.from_numpy(cohort.images[rows].astype(np.float32))[:, None] / 65535


def two_of_each(cohort: Cohort) -> list[int]:
    return [int(row) for c in range(2) for row in np.flatnonzero(cohort.labels == c)[:2]]


def test_noise_without_null_releases_is_not_decided(screened: Made) -> None:
    result = read_json(screened.path / "audit.json")
    assert result["verdict"] == "INCONCLUSIVE"
    assert result["level"] == "foreign"
    assert found(screened.path, "A2")["verdict"] == "INCONCLUSIVE"
    assert found(screened.path, "A5")["verdict"] == "PASS"
    assert "no null release: the audit can fail the set but never pass it" in screened.ended.out
    assert "0 = normal, 1 = pneumonia, in sorted order: the file names no classes" in (
        screened.ended.out
    )


def test_it_is_no_run_to_export(screened: Made, tmp_path: Path) -> None:
    for command in (
        ("export", screened.path, "--to", tmp_path / "bundle"),
        ("audit", screened.path),
    ):
        ended = called(*command)
        assert ended.code == 2
        assert "not a run, but the audit of a set that somebody else made" in ended.err
    assert not (tmp_path / "bundle").exists()


def test_every_audit_that_was_not_made_is_named(screened: Made) -> None:
    result = read_json(screened.path / "audit.json")
    made = {finding["audit"] for finding in result["findings"]}
    assert made == set(load_policy().required[Level.FOREIGN])
    missing = QUESTIONS.keys() - made
    assert {one["audit"] for one in result["not asked"]} == missing
    assert {"G2", "G7", "G8"} <= missing
    for words in (result["wording"], result["public wording"], screened.ended.out):
        assert all(f"({name})" in words.partition("Not tested")[2] for name in missing)
        assert "Assumed, not checked" in words


def test_noise_with_null_releases_of_noise_does_not_fail(house: Sides, tmp_path: Path) -> None:
    nulls = [saved(tmp_path / f"null{seed}.npz", noise(seed)) for seed in range(1, 6)]
    named = [word for null in nulls for word in ("--null", null)]
    ended = audit(house, house.members.with_name("noise.npz"), tmp_path / "out", *named)
    assert ended.code == 0, ended.err
    result = read_json(tmp_path / "out" / "audit.json")
    assert result["verdict"] in ("PASS", "INCONCLUSIVE")
    assert found(tmp_path / "out", "A2")["details"]["null releases"] is True
    assert "no null release" not in ended.out
    assert "Not tested" in result["wording"]


def test_films_of_members_fail_and_films_of_controls_are_no_copies(
    house: Sides, films: dict[str, Cohort], tmp_path: Path
) -> None:
    verdicts = {}
    for role, cohort in films.items():
        path = published(tmp_path / f"{role}.pt", shown(cohort, two_of_each(cohort)))
        assert audit(house, path, tmp_path / role).code == 0
        verdicts[role] = read_json(tmp_path / role / "audit.json")["verdict"]
    assert verdicts["members"] == "FAIL"
    assert found(tmp_path / "members", "A5")["value"] == 4
    assert found(tmp_path / "controls", "A5")["value"] == 0


def test_the_chosen_experiment_is_the_one_that_is_audited(
    house: Sides, films: dict[str, Cohort], tmp_path: Path
) -> None:
    copies = shown(films["members"], two_of_each(films["members"]))
    path = published(tmp_path / "two.pt", noise(0), copies)
    ended = audit(house, path, tmp_path / "out")
    assert ended.code == 2
    assert "holds 2 experiments" in ended.err
    assert "--experiment" in ended.err
    for number, verdict in enumerate(("PASS", "FAIL")):
        out = tmp_path / str(number)
        assert audit(house, path, out, "--experiment", number).code == 0
        assert found(out, "A5")["verdict"] == verdict
    assert audit(house, path, tmp_path / "out", "--experiment", 2).code == 2
    assert not (tmp_path / "out").exists()


def test_medidds_own_release_is_judged_as_its_run_was(
    made: Made, source: Source, tmp_path: Path
) -> None:
    run = Run(made.path)
    cohort, roles = Cohort.open(run.cohort), read_json(run.ledger)
    instances = sorted(source.instances)
    assert len(instances) == len(cohort.patients)
    member = {
        instance
        for instance, patient in zip(instances, cohort.patients, strict=True)
        if roles[str(patient)] == "member"
    }
    headers = [
        pydicom.dcmread(path, stop_before_pixels=True) for path in source.folder.rglob("*.dcm")
    ]
    ids = {str(one.PatientID) for one in headers if one.SOPInstanceUID in member}
    house = parted(source, tmp_path / "house", ids)
    ended = audit(house, run.release, tmp_path / "out")
    assert ended.code == 0, ended.err
    assert "in sorted order" not in ended.out
    theirs = next(f for f in read_json(run.audit)["findings"] if f["audit"] == "A5")
    ours = found(tmp_path / "out", "A5")
    assert ours["value"] == pytest.approx(theirs["value"], abs=1e-6)
    assert ours["details"] == theirs["details"]


def test_films_as_arrays_are_judged_as_the_same_films_in_dicom(
    screened: Made, house: Sides, tmp_path: Path
) -> None:
    assert audit(house, screened.path.with_name("noise.npz"), tmp_path / "out").code == 0
    for name in ("A2", "A5"):
        ours, theirs = found(tmp_path / "out", name), found(screened.path, name)
        assert ours["value"] == pytest.approx(theirs["value"], abs=1e-6)


def test_an_audit_can_be_repeated_and_says_the_same(screened: Made, tmp_path: Path) -> None:
    folder = screened.path.parent
    sides = Sides(
        folder / "sides" / "members" / "studies", folder / "sides" / "controls" / "studies"
    )
    out = copied(screened.path, tmp_path / "out")
    (out / "audit.json").unlink()
    again = audit(sides, folder / "noise.npz", out, "--json")
    assert again.code == 0, again.err
    assert (out / "audit.json").read_bytes() == (screened.path / "audit.json").read_bytes()
    assert json.loads(again.out)["findings"] == read_json(out / "audit.json")["findings"]
    before = tree(out)
    other = audit(sides, folder / "noise.npz", out, "--seed", 1)
    assert other.code == 2
    assert "differs in seed" in other.err
    assert tree(out) == before


def test_the_internal_report_is_for_the_house_alone(screened: Made) -> None:
    page = screened.path / "private" / "audit" / "report.html"
    assert "Assumed, not checked" in page.read_text()
    assert page.stat().st_mode & 0o077 == 0
    assert str(page) in screened.ended.out


def test_nothing_that_identifies_anybody_is_written_or_said(screened: Made) -> None:
    written = [(name, path.read_bytes()) for name, path in files_of(screened.path).items()]
    said = [("out", screened.ended.out.encode()), ("err", screened.ended.err.encode())]
    assert found_in([*written, *said], [MARK.encode()]) == []
    assert found_in(written, traces(screened.source)) == []


@pytest.mark.parametrize("role", ["members", "controls"])
def test_an_identifier_in_the_file_fails_the_set(
    house: Sides, films: dict[str, Cohort], role: str, tmp_path: Path
) -> None:
    patient = f"{MARK}{films[role].patients[0]}"
    np.savez(tmp_path / "set.npz", images=noise(0), labels=np.arange(4) // 2, note=patient.encode())
    assert audit(house, tmp_path / "set.npz", tmp_path / "out").code == 0
    assert found(tmp_path / "out", "G4")["verdict"] == "FAIL"


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (("--mean", 0.5), 2, "--mean and --std go together"),
        (("--level", "screen"), 2, "--level: for a RUN, not for a set"),
        (("--max-rejected", "nan"), 2, "is not a finite number"),
    ],
)
def test_a_wrong_option_ends_with_one_line(
    house: Sides, tmp_path: Path, more: tuple[object, ...], code: int, said: str
) -> None:
    ended = audit(house, house.members.with_name("noise.npz"), tmp_path / "out", *more)
    assert (ended.code, ended.out) == (code, "")
    assert said in ended.err
    assert ended.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_run_or_a_whole_set_must_be_named(made: Made, house: Sides) -> None:
    release = ("--release", house.members.with_name("noise.npz"))
    for words in ((), release, (*release, "--members", house.members)):
        ended = called("audit", *words)
        assert ended.code == 2
        assert "name a RUN; or, for a set" in ended.err
    for words in (release, ("--seed", 3)):
        ended = called("audit", made.path, *words)
        assert ended.code == 2
        assert f"{words[0]}: for a set, not for a RUN" in ended.err


def refused(sides: Sides, noise: Path, out: Path, *more: object) -> str:
    """Audits noise, and returns the one line with which that ends."""
    ended = audit(sides, noise, out, *more)
    assert (ended.code, ended.out) == (3, "")
    assert not out.exists()
    (line,) = (line for line in ended.err.splitlines() if line.startswith("medidd: "))
    return line


def test_a_patient_on_both_sides_is_counted(source: Source, tmp_path: Path) -> None:
    sides = parted(source, tmp_path / "sides", set(patients_of(source)[::2]))
    several = [one for one in sorted(sides.members.iterdir()) if len(list(one.iterdir())) > 1]
    for study in several[:2]:
        (sides.controls / study.name).mkdir()
        shutil.move(max(study.iterdir()), sides.controls / study.name)
    noised = saved(tmp_path / "noise.npz", noise(0))
    line = refused(sides, noised, tmp_path / "out")
    assert "2 of the controls are among the members" in line


def test_a_film_on_both_sides_is_counted_whoever_it_is_said_to_be_of(
    house: Sides, films: dict[str, Cohort], tmp_path: Path
) -> None:
    cohort = films["controls"]
    images = cohort.images.copy()
    images[:1] = films["members"].images[:1]
    path = kept(tmp_path / "controls.npz", cohort, range(len(images)), images=images)
    line = refused(Sides(house.members, path), house.members.with_name("noise.npz"), tmp_path / "o")
    assert "1 of the controls are among the members" in line


def test_sides_that_do_not_fit_the_set_are_refused(
    house: Sides, films: dict[str, Cohort], tmp_path: Path
) -> None:
    cohort = films["controls"]
    few = [row for c in range(2) for row in np.flatnonzero(cohort.labels == c)[:4]]
    everybody = range(len(cohort.labels))
    wide = cohort.images.repeat(2, 1).repeat(2, 2)
    nobody = tmp_path / "nobody.npz"
    np.savez(nobody, images=cohort.images, labels=cohort.labels)
    cases = {
        "need patient_ids, and class numbers as labels; add them": nobody,
        "the classes of the controls are not those of the set": kept(
            tmp_path / "named.npz", cohort, everybody, class_names=["normal", "effusion"]
        ),
        "patients among the controls, and needs at least 5": kept(tmp_path / "f.npz", cohort, few),
        "films of 32 px, and the set is of 16 px": kept(
            tmp_path / "wide.npz", cohort, everybody, images=wide
        ),
    }
    for said, controls in cases.items():
        sides = Sides(house.members, controls)
        assert said in refused(sides, house.members.with_name("noise.npz"), tmp_path / "out")


def test_null_releases_that_are_none_are_refused(house: Sides, tmp_path: Path) -> None:
    noised = house.members.with_name("noise.npz")
    same = saved(tmp_path / "same.npz", noise(0))
    assert "is the audited set itself" in refused(house, noised, tmp_path / "o", "--null", same)
    wide = saved(tmp_path / "wide.npz", noise(1).repeat(1, 1, 2, 2))
    assert "images of another size" in refused(house, noised, tmp_path / "o", "--null", wide)
