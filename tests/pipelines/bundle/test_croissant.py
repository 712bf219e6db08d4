"""Machines can read a bundle's description, by the library of those who wrote the format."""

import json
import logging
import re
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
from invented_cohort import files_of

from pipelines.bundle.croissant import NAME

mlcroissant = pytest.importorskip("mlcroissant", reason="mlcroissant is not installed")

# The library's own library speaks of its future at each call.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:rdflib", "ignore:.*deprecated")

UNKNOWN = {"license", "datePublished", "version", "citeAs"}
"""What the format recommends and nobody here can know."""


def records(bundle: Path) -> list[dict[str, Any]]:
    return list(mlcroissant.Dataset(str(bundle / NAME)).records("labels"))


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise AssertionError("a description must be readable without a network")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)


def test_it_is_valid_and_lacks_only_what_nobody_knows(
    sent: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        found = mlcroissant.Dataset(str(sent / NAME))
    issues = found.metadata.issues
    assert issues.errors == set()
    missing = {re.search(r'[/](\w+)" is recommended', one) for one in issues.warnings}
    assert {one and one[1] for one in missing} == UNKNOWN
    assert "not standard" not in caplog.text


def test_what_is_said_of_data_and_people_can_be_read_by_its_name(sent: Path) -> None:
    said = mlcroissant.Dataset(str(sent / NAME)).metadata
    assert "not radiographs" in str(said.data_collection)
    assert "Not for diagnosis" in str(said.data_use_cases)
    assert "not a finding that the data are anonymous" in str(said.personal_sensitive_information)
    assert "No differential privacy is claimed" in str(said.personal_sensitive_information)


def test_the_records_are_the_table(sent: Path) -> None:
    header, *rows = [line.split(",") for line in (sent / "labels.csv").read_text().splitlines()]
    assert header[0] == "file"
    found = records(sent)
    assert [row["labels/file"].decode() for row in found] == [row[0] for row in rows]
    for number in range(len(header) - 1):
        column = [row[f"labels/class{number}"] for row in found]
        assert column == pytest.approx([float(row[number + 1]) for row in rows])


def test_a_table_that_was_changed_is_found(sent: Path, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(sent, tmp_path / "bundle"))
    table = bundle / "labels.csv"
    table.write_text(table.read_text().replace("1.00", "0.99", 1))
    with pytest.raises(Exception, match=r"labels\.csv") as found:
        records(bundle)
    assert "is not identical with the reference" in str(found.value.__context__)


def test_it_lists_what_does_not_depend_on_it(sent: Path) -> None:
    """The manifest and the check sums hold its hash, so it cannot hold theirs."""
    described = json.loads((sent / NAME).read_text())
    listed = {file["contentUrl"] for file in described["distribution"]}
    later = {"README.md", "manifest.json", "audit.json", "audit.html", "SHA256SUMS", NAME}
    assert listed == set(files_of(sent)) - later
    assert NAME in json.loads((sent / "manifest.json").read_text())["files"]


def test_it_holds_no_date_no_author_and_no_license(sent: Path) -> None:
    text = (sent / NAME).read_text()
    assert not re.search(r"\b(?:19|20)\d\d\b", re.sub(r"[0-9a-f]{64}", "", text))
    assert not {"license", "creator", "datePublished", "url"} & json.loads(text).keys()
