"""Several findings in a cell, and several rows about a film."""

import pytest

from medidd.dicom.errors import CohortError
from medidd.dicom.labels.findings import findings_of, is_named, written_with_bars
from medidd.dicom.labels.label_table import LabelTable
from medidd.dicom.labels.labelling import Labelling
from medidd.dicom.labels.rows import by_key


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        ("a|b", ["a", "b"]),
        ("['a', ' b']", ["a", "b"]),
        ('["a", "b, c"]', ["a", "b, c"]),
        ("[a, b]", ["a", "b"]),
        ("['a' 'b']", ["a", "b"]),
        ("['']", []),
        ("a; b", ["a; b"]),
    ],
)
def test_bars_and_lists_part_findings(cell: str, found: list[str]) -> None:
    assert findings_of(cell) == found


@pytest.mark.parametrize(
    ("cells", "barred"),
    [
        (["Effusion; Mass", "Effusion, Mass", "Mass, Effusion", "Normal"], ["Effusion|Mass"] * 2),
        (["Mass, Nodule", "Mass", "Nodule"], ["Mass|Nodule", "Mass"]),
        (["A;B", "B;C", "A;C"], ["A|B", "B|C"]),
        (["pneumonia, viral", "pneumonia, bacterial", "no"], ["pneumonia, viral"]),
        (["mass, left", "mass, right", "opacity, left", "opacity, right"], ["mass, left"]),
        (["Mass|Mass", "Nodule"], ["Mass"]),
        (["['normal']", "['a']"], ["normal"]),
    ],
)
def test_commas_part_findings_if_the_column_shows_it(cells: list[str], barred: list[str]) -> None:
    says = written_with_bars(cells)
    assert [says(cell) for cell in cells[: len(barred)]] == barred


@pytest.mark.parametrize("cell", ["Mass", "x|mass", "x; Mass", "Mass, left", "['x', 'Mass']"])
def test_a_target_is_found_whichever_sign_parts(cell: str) -> None:
    assert is_named("Mass", cell)
    assert is_named(cell, cell) == (cell[0] != "[" and "|" not in cell)
    assert not is_named("Mas", cell)


def read(header: str, *rows: str, **how: str) -> dict[str, str]:
    cells = tuple(tuple(row.split(",")) for row in rows)
    _, found = by_key(LabelTable(tuple(header.split(",")), cells), Labelling(**how))  # type: ignore[arg-type]
    return {key: label for key, (label, _) in found.items()}


@pytest.mark.parametrize(
    ("readers", "uncertain", "label"),
    [
        ("any", "drop", "Mass"),
        ("all", "drop", "not Mass"),
        ("majority", "drop", None),
        ("majority", "positive", "Mass"),
        ("majority", "negative", "not Mass"),
    ],
)
def test_two_readers_may_disagree(readers: str, uncertain: str, label: str | None) -> None:
    how = {"target": "Mass", "readers": readers, "uncertain": uncertain}
    named = read("image_id,reader,Mass", "a,R1,1", "a,R2,0", "b,R1,1", **how)
    assert named.get("a") == label
    assert named["b"] == "Mass"
    assert read("image_id,Mass", "a,1", "a,0", **how).get("a") == label


def test_an_empty_cell_counts_only_where_nothing_else_is_said() -> None:
    rows = ("a,", "b,1", "b,", "c,0", "d,unknown", "e,nan")
    assert read("file,Mass", *rows, target="Mass").keys() == {"b", "c"}
    for blank, label in (("negative", "not Mass"), ("positive", "Mass")):
        assert read("file,Mass", *rows, target="Mass", blank=blank) == {
            "a": label,
            "b": "Mass",
            "c": "not Mass",
            "e": label,
        }
    findings = read("file,label", "a,", "b,Mass|Nodule", target="Mass", blank="negative")
    assert findings == {"a": "not Mass", "b": "Mass"}


@pytest.mark.parametrize("how", [{"blank": "negative"}, {"readers": "any"}])
def test_choices_about_one_finding_need_one(how: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="target"):
        Labelling(**how)  # type: ignore[arg-type]
    with pytest.raises(CohortError, match="other words than 0 and 1"):
        read("file,Sex", "a,F", "b,M", target="Sex", **how)
