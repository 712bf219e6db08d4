"""Films of another hospital: the run's members are left out, by name and by pixels."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from invented_cohort import MARK, Made, Source, copied, relabel, write_labels
from pydicom.uid import generate_uid

from medidd.dicom.patches import Patches
from pipelines.evaluation.elsewhere import Abroad, Elsewhere, read_elsewhere
from pipelines.evaluation.utility import utility
from pipelines.learning.opened_run import OpenedRun, open_run
from pipelines.run.errors import Exit, Stop
from pipelines.run.patients import Patients
from pipelines.run.store import Run, read_json


@pytest.fixture
def opened(made: Made, tmp_path: Path) -> OpenedRun:
    return open_run(Run(copied(made.path, tmp_path / "run")))


def read(opened: OpenedRun, folder: Path, labels: Path | None = None) -> Elsewhere:
    steps = read_elsewhere(opened, Abroad(folder, labels=labels))
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: Elsewhere = end.value
            return found


def moved(
    source: Source, to: Path, change: Callable[[pydicom.Dataset], None], *, beyond: int = 5000
) -> Path:
    """Copies films as another hospital would have them: other UIDs, and numbers of patients."""
    (to / "studies").mkdir(parents=True)
    label_of = dict(line.split(",") for line in source.labels.read_text().split()[1:])
    labels, studies = {}, dict[str, str]()
    for number, path in enumerate(sorted(source.folder.rglob("*.dcm"))):
        film = pydicom.dcmread(path)
        label = label_of[film.StudyInstanceUID]
        relabel(film, beyond + int(film.PatientID.removeprefix(f"{MARK}ID")))
        study = studies.setdefault(film.StudyInstanceUID, generate_uid())
        film.StudyInstanceUID, film.SOPInstanceUID = study, generate_uid()
        film.file_meta.MediaStorageSOPInstanceUID = film.SOPInstanceUID
        change(film)
        labels[study] = label
        film.save_as(to / "studies" / f"{number}.dcm")
    write_labels(to / "labels.csv", labels)
    return to / "studies"


def mirror(film: pydicom.Dataset) -> None:
    stored = film.pixel_array
    if film.file_meta.TransferSyntaxUID.is_compressed:
        film.decompress()
    film.PixelData = np.ascontiguousarray(stored[:, ::-1]).tobytes()


def test_members_are_left_out_and_the_others_are_the_runs_own_films(
    opened: OpenedRun, source: Source
) -> None:
    found, here = read(opened, source.folder), opened.patients.test
    assert found.members == len(opened.patients.members.ids) > 0
    assert found.films.patients == here.patients
    assert found.films.images.equal(here.images)
    assert found.films.labels.equal(here.labels)


def test_members_on_other_films_are_known_by_their_names(
    opened: OpenedRun, source: Source, tmp_path: Path
) -> None:
    found = read(opened, moved(source, tmp_path / "there", mirror, beyond=0))
    assert found.members == len(opened.patients.members.ids)


def test_members_with_other_names_are_known_by_their_pixels(
    opened: OpenedRun, source: Source, tmp_path: Path
) -> None:
    found = read(opened, moved(source, tmp_path / "there", lambda _: None))
    assert found.members == len(opened.patients.members.ids)
    assert sorted(found.films.labels.tolist()) == sorted(opened.patients.test.labels.tolist())
    assert not {*found.films.patients} & {*opened.patients.cohort.patients.tolist()}


def test_strangers_stay_and_classes_are_matched_by_name(
    opened: OpenedRun, source: Source, tmp_path: Path
) -> None:
    folder = moved(source, tmp_path / "there", mirror)
    found = read(opened, folder)
    assert (found.members, len(found.films.ids)) == (0, 40)
    again = read(opened, folder)
    assert (again.name, again.content) == (found.name, found.content)
    for _ in utility(opened, None, "mlp", beside=True, elsewhere=found):
        pass
    stored = opened.run.private / "worth" / "mlp"
    for name, films in (("", opened.patients.test), (found.name, found.films)):
        (net,) = read_json(stored / name / "random-0.json")["probabilities"]
        assert len(net) == len(films)

    names = opened.patients.cohort.classes
    turned = replace(opened.patients.cohort, classes=names[::-1])
    other = read(replace(opened, patients=replace(opened.patients, cohort=turned)), folder)
    assert other.films.labels.equal(1 - found.films.labels)

    table = tmp_path / "other.csv"
    for count, missing in ((-1, 1), (8, 0)):  # all films of a class, or some of them
        text = (tmp_path / "there" / "labels.csv").read_text()
        table.write_text(text.replace("normal", "healthy", count))
        with pytest.raises(Stop, match="its classes are not those of the run") as stop:
            read(opened, folder, table)
        assert f"{missing} of these are missing, and 1 are different" in str(stop.value)
        assert stop.value.code == Exit.DATA


def test_a_cohort_of_members_alone_is_refused(opened: OpenedRun, source: Source) -> None:
    roles = dict.fromkeys(opened.patients.roles, "member")
    everybody = replace(opened, patients=Patients(opened.patients.cohort, roles))
    with pytest.raises(Stop, match=r"40 patients are left out, .* IssuerOfPatientID") as stop:
        read(everybody, source.folder)
    assert stop.value.code == Exit.DATA


def test_a_run_on_patches_is_refused(opened: OpenedRun, source: Source) -> None:
    reading = replace(opened.frozen.reading, patches=Patches(32, 32, 64))
    cut = replace(opened, frozen=replace(opened.frozen, reading=reading))
    with pytest.raises(Stop, match="were cut into patches") as stop:
        read(cut, source.folder)
    assert stop.value.code == Exit.USAGE
