"""Whose film it is: a union of evidence, because a header alone says it badly.

PatientIDs change by a merge, an issuer is there on one film and missing on the next, and
de-identification writes one word on all. A patient who is counted as two would be learned from and
held out at once, and no audit by patient would hold. So films belong to one patient if

- their PatientIDs are equal and their issuers do not contradict each other. The issuer is type 3
  (PS3.3 C.7.1.1): if it is missing, this contradicts nobody;
- they are of one StudyInstanceUID, because a study is of one patient (PS3.3 A.1.2.2);
- they have equal pixels (``duplicates``, once the pixels are known).

What joins patients, and what contradicts itself, is counted. Everything here is a keyed hash.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from medidd.dicom.errors import CohortError
from medidd.dicom.folder.evidence import Evidence
from medidd.dicom.folder.union import Joined

Unit = Literal["patient", "study", "image"]
"""What counts as one patient. A user who says "study" or "image" answers for it that no patient has
two of them."""

JOINS = {
    "issuer_missing": "PatientIDs have an issuer on some films only; all films of such an ID are "
    "one patient",
    "patient_from_study": "films name no patient and count for the patient of their study",
    "placeholder_id": "films have a placeholder in place of a PatientID, such as ANONYMOUS; it "
    "counts as none",
    "equal_pixels": "patients count as one with another patient, because films of both have equal "
    "pixels",
    "id_on_most_studies": "studies have the same PatientID, more than half of all; if it is a "
    "placeholder, use --unit study or --patient-column NAME",
}
"""What is said about whose film it is, by code; each text follows a count."""

CONTRADICTIONS = {
    "study_of_several_ids": "studies have several PatientIDs; a study is of one patient, so these "
    "IDs count as one patient",
    "study_uid_on_most_ids": "StudyInstanceUIDs are on films of more than half of the PatientIDs; "
    "they are taken for placeholders and join nobody",
    "id_of_several_issuers": "PatientIDs have more than one issuer; the issuers' films count as "
    "different patients",
    "accession_of_several_patients": "accession numbers are on films of several patients",
    "label_key_of_several_patients": "keys of the table of labels find films of several patients; "
    "give the table a column StudyInstanceUID or path",
}
"""What contradicts itself, by code; ``--strict`` refuses it."""

_FEW = 3  # IDs that one patient may have had in a study, by merges and re-assignments


@dataclass(frozen=True, repr=False)
class Whose:
    """Whose film each is.

    Attributes:
        of: returns a patient: the keyed hash of a PatientID with its issuer, or of a study if no
            PatientID is known.
        named: tells whether a film's own PatientID names a person.
        known: tells whether any PatientID is known for the film's patient.
        loose: tells whether the film's study joins nobody.
        said: counts by code of ``JOINS`` and ``CONTRADICTIONS``.
    """

    of: Callable[[Evidence], str]
    named: Callable[[Evidence], bool]
    known: Callable[[Evidence], bool]
    loose: Callable[[Evidence], bool]
    said: Mapping[str, int]


def whose(evidence: Sequence[Evidence], unit: Unit = "patient") -> Whose:
    """Returns whose films these are.

    Args:
        evidence: of all radiographs, also of those that are not used.
        unit: what counts as one patient. A user who says "study" or "image" says so because the
            IDs are no use, so an ID (or, with "image", a study) that all films have joins nobody.
    """
    nobody = _placeholders(evidence, unit)

    def named(one: Evidence) -> bool:
        return bool(one.number) and one.number not in nobody

    issuers, bare = _issuers(filter(named, evidence))
    ids_of = _ids_of_studies(filter(named, evidence))
    loose = _loose_studies(evidence, ids_of, unit)
    contested = {number for number, found in issuers.items() if len(found) > 1}
    nearby: dict[tuple[str, str], str] = {}
    for one in evidence:
        if one.number in contested and one.issuer and one.study not in loose and named(one):
            at = (one.study, one.number)
            nearby[at] = min(one.person, nearby.get(at, one.person))

    def node(one: Evidence) -> str:
        """Returns the PatientID with the issuer that the film or its study names, or the study."""
        if not named(one):
            return one.study
        return one.person if one.issuer else nearby.get((one.study, one.number), one.person)

    joined, people = Joined(), set[str]()
    for one in evidence:
        own = node(one)
        if named(one):
            people.add(own)
            if not one.issuer and own == one.person:
                for other in issuers.get(one.number, {}).values():
                    joined.join(own, other)
        if one.study not in loose:
            joined.join(own, one.study)
    best: dict[str, str] = {}
    for person in sorted(people):
        best.setdefault(joined.first(person), person)

    def of(one: Evidence) -> str:
        top = joined.first(node(one))
        return best.get(top, top)

    said = {
        "issuer_missing": sum(bool(issuers.get(number)) for number in bare),
        "patient_from_study": sum(
            not named(one) and joined.first(one.study) in best for one in evidence
        ),
        "placeholder_id": sum(one.number in nobody for one in evidence if one.number),
        "id_on_most_studies": _on_most_studies(
            ((node(one), one.study) for one in evidence if named(one)),
            len({one.study for one in evidence}),
        ),
        "study_of_several_ids": sum(
            len(found) > 1 and study not in loose for study, found in ids_of.items()
        ),
        "study_uid_on_most_ids": sum(len(ids_of.get(study, ())) > 1 for study in loose),
        "id_of_several_issuers": len(contested),
    }
    return Whose(
        of,
        named,
        lambda one: joined.first(node(one)) in best,
        lambda one: one.study in loose,
        {code: count for code, count in said.items() if count},
    )


def shared(films: Iterable[tuple[Evidence, str]]) -> dict[str, int]:
    """Returns how many accession numbers and label keys find several patients, by code.

    Args:
        films: each film's evidence and patient.
    """
    accessions, rows = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
    for one, patient in films:
        if one.accession:
            accessions[one.accession].add(patient)
        if one.row:
            rows[one.row].add(patient)
    said = {
        "accession_of_several_patients": sum(len(found) > 1 for found in accessions.values()),
        "label_key_of_several_patients": sum(len(found) > 1 for found in rows.values()),
    }
    return {code: count for code, count in said.items() if count}


def require_consistent(said: Mapping[str, int]) -> None:
    """Refuses contradictions about whose film it is.

    Raises:
        CohortError: there are some.
    """
    found = [f"{said[code]} {text}" for code, text in CONTRADICTIONS.items() if said.get(code)]
    if found:
        raise CohortError(
            f"--strict: the films contradict themselves: {'; '.join(found)}; correct the headers "
            "or the table, or leave out --strict"
        )


def _placeholders(evidence: Sequence[Evidence], unit: Unit) -> set[str]:
    """Returns the PatientIDs that name nobody.

    Zeros may be the first of numbered patients: they are a placeholder only if they are on at least
    half of several studies.
    """
    found = {one.number for one in evidence if one.doubt == "placeholder"}
    studies = {one.study for one in evidence}
    zeros = {one.study for one in evidence if one.doubt == "zeros"}
    if len(zeros) > 1 and 2 * len(zeros) >= len(studies):
        found |= {one.number for one in evidence if one.doubt == "zeros"}
    numbers = {one.number for one in evidence}
    if unit != "patient" and len(numbers) == 1 and len(studies) > 1:
        found |= numbers - {""}
    return found


def _issuers(evidence: Iterable[Evidence]) -> tuple[dict[str, dict[str, str]], set[str]]:
    """Returns the persons of each PatientID by issuer, and the IDs that are without one, too."""
    issuers: dict[str, dict[str, str]] = {}
    bare: set[str] = set()
    for one in evidence:
        if one.issuer:
            issuers.setdefault(one.number, {})[one.issuer] = one.person
        else:
            bare.add(one.number)
    return issuers, bare


def _ids_of_studies(evidence: Iterable[Evidence]) -> dict[str, set[str]]:
    """Returns each study's IDs: PatientIDs, and persons where issuers contradict each other."""
    ids_of: dict[str, set[str]] = {}
    persons: dict[tuple[str, str], str] = {}
    for one in evidence:
        found = ids_of.setdefault(one.study, set())
        found.add(one.number)
        if one.issuer and persons.setdefault((one.study, one.number), one.person) != one.person:
            found.add(one.person)
    return ids_of


def _loose_studies(
    evidence: Sequence[Evidence], ids_of: Mapping[str, set[str]], unit: Unit
) -> set[str]:
    """Returns the studies that join nobody, because their UID is a placeholder.

    A merge gives a study two IDs, seldom three. A UID on films of more IDs than this, and of more
    than half of all, was written by a tool.
    """
    least = max(_FEW, len(set().union(*ids_of.values())) / 2)
    found = {study for study, ids in ids_of.items() if len(ids) > least}
    studies = {one.study for one in evidence}
    return found | studies if unit == "image" and len(studies) == 1 else found


def _on_most_studies(named: Iterable[tuple[str, str]], studies: int) -> int:
    """Returns on how many studies the most frequent PatientID is, 0 if it is on few.

    Args:
        named: PatientID and study of each film.
        studies: number of all studies.
    """
    count = max(Counter(number for number, _ in set(named)).values(), default=0)
    return count if count > 2 and 2 * count > studies else 0
