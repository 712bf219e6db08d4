"""Whose film it is: joined by every evidence, told apart by none that is missing, and counted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from medidd.dicom.errors import CohortError
from medidd.dicom.folder.cohort import Cohort, ingest
from medidd.dicom.folder.evidence import evidence_of
from medidd.dicom.folder.names import sought
from medidd.dicom.folder.patients import CONTRADICTIONS, JOINS, Unit, whose
from medidd.dicom.folder.union import Joined
from medidd.dicom.header.header import Header
from medidd.dicom.header.identifiers import keyed
from medidd.dicom.labels.labelling import Labelling
from medidd.dicom.source import Source

Film = Callable[..., Any]
KEY = b"a key that lies elsewhere"
ID = "ZZPHI-1"


def told(films: list[str], unit: Unit = "patient") -> tuple[str, dict[str, int]]:
    """Returns a letter for each film's patient, and what is said.

    Args:
        films: "issuer/PatientID/study" of each.
        unit: what counts as one patient.
    """
    evidence = []
    for film in films:
        issuer, number, study = film.split("/")
        links = {"PatientID": number, "StudyInstanceUID": study}
        evidence.append(evidence_of(Header(Source(Path("x")), links, issuer, frozenset()), KEY))
    found = whose(evidence, unit)
    people = [found.of(one) for one in evidence]
    order = list(dict.fromkeys(people))
    return "".join("abcdefgh"[order.index(person)] for person in people), dict(found.said)


CASES: dict[str, tuple[list[str], str, dict[str, int]]] = {
    "equal IDs": (["/1/x", "/1/y", "/2/z"], "aab", {}),
    "a missing issuer": (["A/1/x", "/1/y", "/2/z"], "aab", {"issuer_missing": 1}),
    "two issuers": (["A/1/x", "B/1/y", "B/1/z"], "abb", {"id_of_several_issuers": 1}),
    "two issuers, and none: its study has the answer": (
        ["A/1/x", "B/1/y", "/1/y"],
        "abb",
        {"id_of_several_issuers": 1, "issuer_missing": 1},
    ),
    "two issuers, and none: nothing has the answer": (
        ["A/1/x", "B/1/y", "/1/z"],
        "aaa",
        {"id_of_several_issuers": 1, "issuer_missing": 1},
    ),
    "two issuers in one study": (
        ["A/1/x", "B/1/x", "/2/z"],
        "aab",
        {"id_of_several_issuers": 1, "study_of_several_ids": 1},
    ),
    "a study under two IDs": (
        ["/1/x", "/2/x", "/2/y", "/3/z"],
        "aaab",
        {"study_of_several_ids": 1},
    ),
    "a chain of studies": (
        ["/1/x", "/2/x", "/2/y", "/3/y", "/4/z"],
        "aaaab",
        {"study_of_several_ids": 2},
    ),
    "no ID on one film of a study": (["/1/x", "//x", "/2/y"], "aab", {"patient_from_study": 1}),
    "no ID in a study": (["//x", "//x", "/2/y"], "aab", {}),
    "a word in place of an ID": (
        ["/ANONYMOUS/x", "/Anonymous /y", "/anonymous/y"],
        "abb",
        {"placeholder_id": 3},
    ),
    "a word on some films": (
        ["/1/x", "/NA/x", "/NA/y"],
        "aab",
        {"placeholder_id": 2, "patient_from_study": 1},
    ),
    "signs in place of an ID": (["/--/x", "/--/y"], "ab", {"placeholder_id": 2}),
    "zeros in place of an ID": (["/000/x", "/000/y", "/000/z"], "abc", {"placeholder_id": 3}),
    "a patient with the number zero": (["/0/v", "/0/w", "/1/x", "/2/y", "/3/z"], "aabcd", {}),
    "one ID on everything": (["/7/x", "/7/y", "/7/z"], "aaa", {"id_on_most_studies": 3}),
    "one study UID on everything": (
        ["/1/x", "/2/x", "/3/x", "/4/x"],
        "abcd",
        {"study_uid_on_most_ids": 1},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_films_are_of_one_patient_by_every_evidence(case: str) -> None:
    films, people, said = CASES[case]
    found, counts = told(films)
    assert found == people
    assert counts == said
    again, _ = told(films[::-1])
    pairs = [(one, other) for one in range(len(films)) for other in range(len(films))]
    assert [again[::-1][i] == again[::-1][j] for i, j in pairs] == [
        people[i] == people[j] for i, j in pairs
    ]


def test_an_id_that_all_films_have_joins_nobody_if_the_user_answers_for_the_studies() -> None:
    assert told(["/7/x", "/7/x", "/7/y"])[0] == "aaa"
    assert told(["/7/x", "/7/x", "/7/y"], "study")[0] == "aab"
    assert told(["/7/x", "/8/x", "/7/y"], "study")[0] == "aaa"


def test_names_are_joined_in_any_order() -> None:
    joined = Joined()
    for one, other in (("d", "c"), ("b", "a"), ("e", "d"), ("c", "b")):
        joined.join(one, other)
    assert {joined.first(name) for name in "abcde"} == {"a"}
    assert joined.first("f") == "f"


def run(root: Path, folder: Path, labels: Labelling | None = None, **options: Any) -> Cohort:
    list(ingest(root, labels, folder=folder, size=8, key=KEY, **options))
    return Cohort.open(folder)


def by_path(studies: Path, split: str = "") -> None:
    """Gives the six films a table by path, with two classes."""
    lines = [f"path,label{',split' if split else ''}"]
    for number in range(1, 7):
        place = f",{'train' if number < 4 else 'test'}" if split else ""
        lines.append(f"{number}.dcm,{'ab'[number % 2]}{place}")
    (studies / "labels.csv").write_text("\n".join(lines))


def test_a_cohort_has_the_joined_patients_and_says_so(
    studies: Path, tmp_path: Path, film: Film
) -> None:
    by_path(studies)
    film(2, StudyInstanceUID="1.2.1", PatientID="").save_as(studies / "2.dcm")
    film(1, StudyInstanceUID="1.2.1").save_as(studies / "1.dcm")
    film(4, StudyInstanceUID="1.2.3").save_as(studies / "4.dcm")
    film(3, StudyInstanceUID="1.2.3").save_as(studies / "3.dcm")
    film(6, film(5).pixel_array).save_as(studies / "6.dcm")
    cohort = run(studies, tmp_path / "c")
    one, two, three, four, five, six = cohort.patients.tolist()
    assert one == two == keyed(KEY, "|ZZPHI-0001")
    assert three == four != five
    assert five == six
    assert len(set(cohort.patients)) == 3
    assert cohort.evidence == {
        "patient_from_study": 1,
        "study_of_several_ids": 1,
        "equal_pixels": 1,
    }
    assert cohort.tells_patients_apart
    assert keyed(KEY, "|ZZPHI-0001") in cohort.names[1]


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [("", "", True), ("A", "A", True), ("A", "", True), ("", "A", True), ("A", "B", False)],
)
def test_a_patient_is_found_in_another_cohort_unless_the_issuers_differ(
    studies: Path, tmp_path: Path, film: Film, one: str, other: str, found: bool
) -> None:
    names = []
    for turn, issuer in enumerate((one, other)):
        of = {"StudyInstanceUID": f"1.2.{turn}", "SOPInstanceUID": f"1.3.{turn}"}
        film(1, IssuerOfPatientID=issuer, **of).save_as(studies / "1.dcm")
        cohort = run(studies, tmp_path / f"{turn}")
        person = {keyed(KEY, f"{issuer}|ZZPHI-0001")}
        names += [known for known in cohort.names if known & person]
    assert bool(sought(names[0]) & names[1]) == found


def test_a_film_that_is_not_used_still_says_whose_its_study_is(
    studies: Path, tmp_path: Path, film: Film
) -> None:
    by_path(studies)
    film(2, StudyInstanceUID="1.2.1", PatientID="").save_as(studies / "2.dcm")
    film(9, StudyInstanceUID="1.2.1", PatientID="ZZPHI-0001").save_as(studies / "9.dcm")
    cohort = run(studies, tmp_path / "c")
    assert cohort.refused["label_missing"] == 1
    assert cohort.patients[0] == cohort.patients[1]


@pytest.mark.parametrize("unit", ["patient", "study", "image"])
@pytest.mark.parametrize(
    "first",
    [
        {"PatientID": "ZZPHI-0006", "IssuerOfPatientID": "ZZPHI"},
        {"StudyInstanceUID": "1.2.826.0.1.3680043.10.2.6"},
    ],
)
def test_a_patient_in_two_splits_is_found_by_any_evidence_whatever_counts_as_one(
    studies: Path, tmp_path: Path, film: Film, first: dict[str, str], unit: str
) -> None:
    by_path(studies, "split")
    run(studies, tmp_path / "c", unit=unit)
    film(1, **first).save_as(studies / "1.dcm")
    with pytest.raises(CohortError, match="1 patients are in two splits"):
        run(studies, tmp_path / "c", unit=unit)


def test_films_that_name_neither_patient_nor_study_may_be_split_by_image(
    studies: Path, tmp_path: Path, film: Film
) -> None:
    by_path(studies, "split")
    for number in range(1, 7):
        film(number, PatientID="", StudyInstanceUID="1.2").save_as(studies / f"{number}.dcm")
    assert len(set(run(studies, tmp_path / "c", unit="image").patients)) == 6
    film(6, PatientID="", StudyInstanceUID="1.3").save_as(studies / "6.dcm")
    with pytest.raises(CohortError, match="1 patients are in two splits"):
        run(studies, tmp_path / "c", unit="image")


def test_a_placeholder_on_all_films_is_named_with_its_remedies(
    studies: Path, tmp_path: Path, film: Film
) -> None:
    by_path(studies, "split")
    for number in range(1, 7):
        film(number, PatientID="ZZPHI").save_as(studies / f"{number}.dcm")
    with pytest.raises(
        CohortError, match=r"PatientID is on 6 studies.*--unit study.*--patient-col"
    ):
        run(studies, tmp_path / "c")
    assert len(set(run(studies, tmp_path / "c", unit="study").patients)) == 6
    for number in range(1, 7):
        film(number, PatientID="ANONYMOUS").save_as(studies / f"{number}.dcm")
    cohort = run(studies, tmp_path / "c")
    assert (cohort.unnamed, cohort.tells_patients_apart) == (6, False)
    assert cohort.evidence == {"placeholder_id": 6}
    assert not any(keyed(KEY, "|ANONYMOUS") in names for names in cohort.names)


COLUMNS = {
    "a column of the table": ("Subject", None),
    "an attribute": ("ClinicalTrialSubjectID", "ClinicalTrialSubjectID"),
    "an attribute in other letters": ("accession number", "AccessionNumber"),
}


@pytest.mark.parametrize("case", COLUMNS)
def test_the_patient_may_be_in_another_place(
    studies: Path, tmp_path: Path, film: Film, case: str
) -> None:
    name, keyword = COLUMNS[case]
    lines = ["path,Subject,label"]
    for number in range(1, 7):
        person = f"ZZPHI-{number % 3}"
        elements = {keyword: person} if keyword else {}
        film(number, PatientID="ZZPHI", **elements).save_as(studies / f"{number}.dcm")
        lines.append(f"{number}.dcm,{person},{'ab'[number % 2]}")
    (studies / "labels.csv").write_text("\n".join(lines))
    cohort = run(studies, tmp_path / "c", Labelling(patient_column=name))
    people = cohort.patients.tolist()
    assert len(set(people)) == 3
    assert people[:3] == people[3:]
    assert cohort.tells_patients_apart
    assert not any(keyed(KEY, "|ZZPHI") in names for names in cohort.names)
    assert keyed(KEY, "ZZPHI-2") in cohort.tokens
    assert b"ZZPHI" not in b"".join(path.read_bytes() for path in (tmp_path / "c").iterdir())


@pytest.mark.parametrize(
    ("rows", "name", "message"),
    [
        (("1.dcm,x,a", "2.dcm,y,b"), "nothing", "no such column, and it is none of the DICOM"),
        (("1.dcm,x,a", "1.dcm,y,a"), "who", "several patients for 1 keys"),
    ],
)
def test_a_column_that_names_no_patient_is_an_error(
    studies: Path, tmp_path: Path, rows: tuple[str, ...], name: str, message: str
) -> None:
    (studies / "labels.csv").write_text("\n".join(("path,who,label", *rows)))
    with pytest.raises(CohortError, match=message):
        run(studies, tmp_path / "c", Labelling(target="label", patient_column=name))


def two_ids(root: Path, film: Film) -> None:
    by_path(root)
    for number in (1, 2):
        film(number, StudyInstanceUID="1.2.1").save_as(root / f"{number}.dcm")


def two_issuers(root: Path, film: Film) -> None:
    for number in (1, 7):
        of = {"PatientID": "ZZPHI-0001", "IssuerOfPatientID": f"ZZPHI {number}"}
        film(number, **of).save_as(root / f"{number}.dcm")


def one_accession(root: Path, film: Film) -> None:
    for number in (1, 2):
        film(number, AccessionNumber="ZZPHIA").save_as(root / f"{number}.dcm")


STRICT = {
    "a study with two IDs": (two_ids, {"study_of_several_ids": 1}),
    "an ID with two issuers and one row": (
        two_issuers,
        {"id_of_several_issuers": 1, "label_key_of_several_patients": 1},
    ),
    "an accession number of two patients": (one_accession, {"accession_of_several_patients": 1}),
}


@pytest.mark.parametrize("case", STRICT)
def test_a_contradiction_is_counted_and_an_error_if_strict(
    studies: Path, tmp_path: Path, film: Film, case: str
) -> None:
    change, said = STRICT[case]
    run(studies, tmp_path / "c", strict=True)
    change(studies, film)
    assert run(studies, tmp_path / "c").evidence == said
    with pytest.raises(CohortError, match=r"^--strict: ") as caught:
        run(studies, tmp_path / "c", strict=True)
    assert all(f"{n} {CONTRADICTIONS[code]}" in str(caught.value) for code, n in said.items())
    assert "ZZPHI" not in str(caught.value)


def test_every_text_follows_a_count() -> None:
    assert not JOINS.keys() & CONTRADICTIONS.keys()
    assert all(not text.endswith(".") for text in (JOINS | CONTRADICTIONS).values())


def test_a_class_that_is_a_word_of_all_ids_is_named_with_what_helps(
    studies: Path, tmp_path: Path, film: Film
) -> None:
    lines = ["PatientID,label"]
    for number in range(1, 7):
        name = ("normal", "pneumonia")[number % 2]
        film(number, PatientID=f"{name}_{number:03}").save_as(studies / f"{number}.dcm")
        lines.append(f"{name}_{number:03},{name}")
    (studies / "labels.csv").write_text("\n".join(lines))
    message = r"2 of 2 classes are named by an identifier of their films \(PatientID\); .* other"
    with pytest.raises(CohortError, match=message) as caught:
        run(studies, tmp_path / "c")
    assert "labels.csv" not in str(caught.value)
