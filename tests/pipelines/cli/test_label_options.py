"""Labels on the command line: which column, which finding, and what did not match."""

import json
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from invented_cohort import SMALL, Ended, Source, called, train_experts

from medidd.dicom.folder.cohort import Cohort
from medidd.dicom.labels.keys import KEYS
from medidd.dicom.labels.labelling import BLANK, UNCERTAIN
from medidd.dicom.labels.votes import READERS
from pipelines.cli.options import labels as label_options

pytestmark = pytest.mark.usefixtures("no_rehearsal")


def studies(source: Source) -> list[tuple[str, str]]:
    """Study and label of each row of the table."""
    rows = source.labels.read_text().splitlines()[1:]
    return [(study, label) for study, label in (row.split(",") for row in rows)]


def columns(source: Source, to: Path) -> Path:
    """A table with a column per finding, its first normal study uncertain, and a stranger."""
    pairs = studies(source)
    normal = [study for study, label in pairs if label == pairs[0][1]]
    lines = ["StudyInstanceUID,First,Other,Sex"]
    for study, label in pairs:
        first = "-1" if study == normal[0] else str(int(label == pairs[0][1]))
        lines.append(f"{study},{first},1,F")
    lines.append("1.2.3.4,1,0,M")
    to.write_text("\n".join(lines))
    return to


def distill(source: Source, table: Path, run: Path, *more: object) -> Ended:
    films = ("--dicom-dir", source.folder, "--labels", table)
    return called("distill", *films, "--ipc", 1, *SMALL, "--out", run, *more)


def test_the_options_know_what_the_library_knows() -> None:
    assert label_options.KEYS == KEYS
    assert label_options.UNCERTAINS == UNCERTAIN
    assert label_options.BLANKS == BLANK
    assert label_options.READERS == READERS


def test_a_target_is_distilled_and_remembered(source: Source, tmp_path: Path) -> None:
    table = columns(source, tmp_path / "table.csv")
    run = tmp_path / "run"
    ended = distill(source, table, run, "--target", "first", "--label-key", "studyinstanceuid")
    assert ended.code == 0, ended.err
    for text in (ended.out, ended.err, (run / "report.html").read_text()):
        assert "films have no label, 1 keys of the table of labels match no usable film" in text
    assert Cohort.open(run / "private" / "cohort").classes == ("first", "not first")
    job = json.loads((run / "run.json").read_text())["job"]
    assert job["labelling"] == {
        "key": "StudyInstanceUID",
        "target": "first",
        "uncertain": "drop",
        "patient_column": None,
        "blank": "drop",
        "readers": None,
        "patient_pattern": None,
    }
    again = distill(source, table, run, "--target", "first", "--resume")
    assert again.code == 2
    assert "labelling" in again.err


def test_a_script_is_told_what_did_not_match(source: Source, tmp_path: Path) -> None:
    table = columns(source, tmp_path / "table.csv")
    options = ("--target", "First", "--dry-run", "--json")
    dropped = json.loads(distill(source, table, tmp_path / "run", *options).out)
    assert dropped["unknown_keys"] == 1
    assert dropped["refused"]["label_missing"] > 0
    options = (*options, "--uncertain", "positive")
    kept = json.loads(distill(source, table, tmp_path / "run", *options).out)
    assert "label_missing" not in kept["refused"]
    assert kept["films"]["First"] == dropped["films"]["First"] + dropped["refused"]["label_missing"]
    assert kept["films"]["not First"] == dropped["films"]["not First"]


def test_an_empty_cell_readers_and_splits_are_what_the_user_says(
    source: Source, tmp_path: Path
) -> None:
    pairs = studies(source)
    rows = [f"{study},{'1' if label == pairs[0][1] else ''}" for study, label in pairs]
    table, splits = tmp_path / "table.csv", tmp_path / "splits.csv"
    table.write_text("\n".join(["StudyInstanceUID,First", *rows, *(f"{s},0" for s, _ in pairs)]))
    splits.write_text("\n".join(["StudyInstanceUID,split", *(f"{s},train" for s, _ in pairs[1:])]))
    options = ("--target", "First", "--dry-run", "--json")
    refused = distill(source, table, tmp_path / "run", *options)
    assert refused.code == 3
    assert "--readers" in refused.err
    read = distill(source, table, tmp_path / "run", *options, "--readers", "any")
    films = json.loads(read.out)["films"]
    assert set(films) == {"First", "not First"}
    table.write_text("\n".join(["StudyInstanceUID,First", *rows]))
    refused = distill(source, table, tmp_path / "run", *options)
    assert refused.code == 4
    assert "--blank" in refused.err
    read = distill(source, table, tmp_path / "run", *options, "--blank", "negative")
    assert json.loads(read.out)["films"] == films
    read = distill(
        source, table, tmp_path / "run", *options, "--blank", "negative", "--splits", splits
    )
    assert json.loads(read.out)["refused"]["split_missing"] > 0


def test_classes_that_differ_by_case_are_said(source: Source, tmp_path: Path) -> None:
    pairs = studies(source)
    rows = [
        f"{study},{label.upper() if n % 2 else label.lower()}"
        for n, (study, label) in enumerate(pairs)
    ]
    table = tmp_path / "table.csv"
    table.write_text("\n".join(["StudyInstanceUID,label", *rows]))
    ended = called("inspect", source.folder, "--labels", table)
    assert ended.code == 0, ended.err
    assert "4 classes differ from another only by upper and lower case" in ended.out


def test_experts_learn_a_target_too(source: Source, tmp_path: Path) -> None:
    table = columns(source, tmp_path / "table.csv")
    named = ("--labels", table, "--target", "First")
    ended = train_experts(source, tmp_path / "experts", *named)
    assert ended.code == 0, ended.err
    assert "1 keys of the table of labels match no usable film" in ended.err
    other = train_experts(
        source, tmp_path / "experts", *named, "--uncertain", "negative", "--resume"
    )
    assert other.code == 2
    assert "labelling" in other.err


def two_splits(source: Source) -> str:
    """A patient's two studies in two splits; where each has one study, its films by path."""
    films = sorted(source.folder.rglob("*.dcm"))
    label_of = dict(studies(source))
    lines = ["path,label,split"]
    seen: set[str] = set()
    for film in films:
        head = pydicom.dcmread(film, stop_before_pixels=True)
        split = "testing" if head.PatientID in seen else "training"
        seen.add(head.PatientID)
        path = film.relative_to(source.folder)
        lines.append(f"{path},{label_of[head.StudyInstanceUID]},{split}")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("content", "more", "code", "words"),
    [
        (None, (), 3, ("3 columns", "--target COLUMN")),
        (None, ("--target", "Third"), 3, ("--target", "spelling")),
        (None, ("--label-key", "path", "--target", "First"), 3, ("path", "--label-key")),
        (None, ("--target", "Sex", "--uncertain", "positive"), 3, ("--uncertain",)),
        (None, ("--uncertain", "positive"), 2, ("target",)),
        (None, ("--target", " "), 2, ("--target", "empty")),
        (None, ("--label-key", "Surname"), 2, ("--label-key", "patientid")),
        (None, ("--uncertain", "ignore"), 2, ("--uncertain", "drop")),
        (two_splits, (), 3, ("are in two splits", "give each patient one")),
        (two_splits, ("--unit", "image"), 3, ("are in two splits",)),
    ],
)
def test_labels_that_cannot_be_used_end_with_one_line(
    source: Source,
    tmp_path: Path,
    content: Callable[[Source], str] | None,
    more: tuple[str, ...],
    code: int,
    words: tuple[str, ...],
) -> None:
    table = columns(source, tmp_path / "table.csv")
    if content is not None:
        table.write_text(content(source))
    ended = distill(source, table, tmp_path / "run", *more)
    assert ended.code == code, ended.err
    (line,) = ended.err.splitlines()
    assert [word for word in words if word not in line] == []
    assert "ZZPHI" not in line
    assert not (tmp_path / "run").exists()


def test_a_reference_is_read_by_the_target_of_its_run(source: Source, tmp_path: Path) -> None:
    table = columns(source, tmp_path / "table.csv")
    assert distill(source, table, tmp_path / "run", "--target", "First").code == 0
    audit = ("audit", tmp_path / "run", "--reference", source.folder, "--reference-labels")
    ended = called(*audit, source.labels)
    assert ended.code == 3
    assert "no cell that --target names" in ended.err
    ended = called(*audit, table)  # the classes are those of the run, and so are the people
    assert ended.code == 3
    assert "are in the run's own cohort" in ended.err
