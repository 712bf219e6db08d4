"""The documents for the house say what is so."""

import re
import shlex
from pathlib import Path

import pytest
from invented_cohort import ROOT

from medidd.dicom.errors import HARMLESS, REASONS, WARNINGS, Refused
from medidd.dicom.folder.patients import CONTRADICTIONS, JOINS
from medidd.dicom.header.header import Header
from medidd.dicom.labels.labelling import Labelling, Uncertain
from medidd.dicom.labels.labels import Labels, read_labels
from medidd.dicom.labels.patient_column import KEYWORDS
from medidd.dicom.source import Source
from pipelines.cli.film_commands import COMMANDS
from pipelines.commands.purge import HOLD_FILMS

LABELS = (ROOT / "docs" / "labels.md").read_text()
INGEST = (ROOT / "docs" / "ingest.md").read_text()
HOSPITAL = (ROOT / "docs" / "hospital.md").read_text()


def example(title: str, folder: Path, name: str) -> Path:
    """The example under a title, as a file."""
    section = LABELS.partition(f"## {title}\n")[2].partition("\n## ")[0]
    lines = [line[4:] for line in section.splitlines() if line.startswith("    ")]
    (folder / name).write_text("\n".join(lines))
    return folder / name


def told(labels: Labels, root: Path, **links: str) -> str:
    try:
        return "/".join(
            labels.of(Header(Source(root / links.pop("name", "x")), links, "", frozenset()))
        )
    except Refused as refusal:
        return refusal.code


def test_the_plain_table_is_read_as_said(tmp_path: Path) -> None:
    labels = read_labels(tmp_path, Labelling(example("One label per row", tmp_path, "a.csv")))
    assert told(labels, tmp_path, PatientID="00000002") == "pneumonia/"


@pytest.mark.parametrize(
    ("uncertain", "third"),
    [("drop", "label_missing"), ("positive", "Pneumonia/"), ("negative", "not Pneumonia/")],
)
def test_the_columns_are_read_as_said(tmp_path: Path, uncertain: Uncertain, third: str) -> None:
    table = example("A column per finding", tmp_path, "a.csv")
    labels = read_labels(tmp_path, Labelling(table, target="Pneumonia", uncertain=uncertain))
    found = [told(labels, tmp_path, SOPInstanceUID=f"1.2.3.{n}") for n in (1, 2, 3)]
    assert found == ["Pneumonia/", "not Pneumonia/", third]


def test_the_cells_are_read_as_said(tmp_path: Path) -> None:
    table = example("Several findings in a cell", tmp_path, "a.csv")
    labels = read_labels(tmp_path, Labelling(table, target="Pneumonia"))
    names = ("00000001_000.dcm", "x/00000002_000.dcm", "00000002_001.png")
    found = [told(labels, tmp_path, name=name, PatientID="2") for name in names]
    assert found == ["Pneumonia/", "not Pneumonia/", "Pneumonia/"]


def test_the_datalist_is_read_as_said(tmp_path: Path) -> None:
    labels = read_labels(tmp_path, Labelling(example("A datalist of MONAI", tmp_path, "a.json")))
    found = [told(labels, tmp_path, name=f"{name}.dcm") for name in "abc"]
    assert found == ["normal/train", "pneumonia/val", "normal/test"]


def test_every_command_of_the_house_stands_in_its_document() -> None:
    for command in COMMANDS:
        assert f"medidd {command.name}" in HOSPITAL


def test_every_command_and_option_of_the_documents_exists() -> None:
    from pipelines.cli.main import medidd

    commands = {**medidd.commands, **{f"cache {n}": c for n, c in COMMANDS[-1].commands.items()}}  # type: ignore[attr-defined]
    known = {option for one in commands.values() for p in one.params for option in p.opts}
    text = (LABELS + INGEST + HOSPITAL).replace("\\\n", " ")
    for line in re.findall(r"^    medidd (.*)$", text, re.MULTILINE):
        name, *words = shlex.split(line)
        name = f"{name} {words[0]}" if name == "cache" else name
        own = {option for param in commands[name].params for option in param.opts}
        assert {word for word in words if word.startswith("--")} <= own, line
    assert set(re.findall(r"`(--[a-z-]+)", LABELS + HOSPITAL)) <= known


def test_the_files_that_are_named_are_those_that_are_written() -> None:
    for name in re.findall(r"private/([\w.-]+)`", HOSPITAL):
        assert name in HOLD_FILMS


def test_every_code_is_explained_in_its_own_words() -> None:
    explained = re.findall(r"^\| `(\w+)` \| (.+) \|$", INGEST, re.MULTILINE)
    assert dict(explained) == REASONS | WARNINGS | JOINS | CONTRADICTIONS


def test_the_codes_that_do_not_count_are_named() -> None:
    sentence = re.split(r"do\s+not\s+count\s+against", INGEST)[0].rpartition("\n\n")[2]
    assert set(re.findall(r"`(\w+)`", sentence)) == HARMLESS


def test_every_attribute_that_may_name_the_patient_is_listed() -> None:
    section = INGEST.partition("## Whose film it is\n")[2].partition("\n## ")[0]
    assert all(re.search(rf"\b{keyword}\b", section) for keyword in KEYWORDS)
