"""What a folder holds, counted from headers, without a word that names anybody."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import uid

from medidd.dicom.errors import CohortError
from medidd.dicom.folder.survey import Found, Survey, classes, survey, unkept
from medidd.dicom.header import terms
from medidd.dicom.labels.labelling import USUAL, Labelling
from medidd.dicom.labels.labels import Labels, read_labels

Film = Callable[..., Any]


def looked(root: Path) -> Survey:
    *_, last = survey(root)
    return last


def labelled(root: Path, labels: Labels) -> Found:
    gathered = unkept(labels)
    list(survey(root, gathered))
    return classes(gathered)


def test_headers_are_counted_by_what_they_say(studies: Path, film: Film) -> None:
    film(1, ViewPosition="PA").save_as(studies / "1.dcm")
    film(2, ViewPosition="LL", Manufacturer="ZZPHI Works").save_as(studies / "2.dcm")
    film(3, ViewPosition=None, Manufacturer="zzphi works", BitsStored=12, HighBit=11).save_as(
        studies / "3.dcm"
    )
    described = {"ViewPosition": "", "SeriesDescription": "Thorax a.p."}
    film(4, np.zeros((20, 9), np.uint16), **described).save_as(studies / "4.dcm")
    film(5, PhotometricInterpretation="MONOCHROME1", PatientID="").save_as(studies / "5.dcm")
    film(6, StudyInstanceUID="1.2.826.0.1.3680043.10.2.1").save_as(studies / "6.dcm")
    film(1, ViewPosition="PA").save_as(studies / "copy.dcm")
    film(7, Modality="CT").save_as(studies / "7.dcm")
    found = looked(studies)
    assert (found.files, found.headers, found.usable) == (9, 8, 7)
    assert (found.patients, found.unnamed, len(found.studies), found.copies) == (5, 1, 5, 1)
    assert found.refused == {"modality_excluded": 1, "not_dicom": 1}
    assert found.modalities == {"CR": 7, "CT": 1}
    assert found.views == {"PA": 5, "AP": 1, "LL": 1, "not said": 1}
    assert found.photometric == {"MONOCHROME2": 7, "MONOCHROME1": 1}
    assert found.bits == {"16": 7, "12": 1}
    assert (min(found.rows), max(found.rows)) == (12, 20)
    assert (min(found.columns), max(found.columns)) == (9, 10)
    assert found.syntaxes == {"Explicit VR Little Endian": 8}
    assert len(found.devices) == 1


def test_words_that_nobody_defined_are_others(studies: Path, film: Film) -> None:
    odd = film(1, Modality="ZZPHI", ViewPosition="ZZPHI", PhotometricInterpretation="ZZPHI")
    odd.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    odd.save_as(studies / "1.dcm")
    syntax, strange = b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.9.1\0"
    data = (studies / "1.dcm").read_bytes()
    assert data.count(syntax) == 1
    (studies / "1.dcm").write_bytes(data.replace(syntax, strange))
    found = looked(studies)
    assert "ZZPHI" not in repr(found)
    for counts in (found.modalities, found.views, found.photometric, found.syntaxes):
        assert counts["other"] == 1


@pytest.mark.parametrize(
    ("word", "shown"),
    [("12", "12"), ("", "not said"), *((word, "other") for word in ("0", "65", "-1", "²", "ZZ"))],
)
def test_a_number_is_shown_only_where_it_is_one(word: str, shown: str) -> None:
    assert terms.number(word, 64) == shown


def test_no_pixel_is_read(studies: Path) -> None:
    whole = looked(studies)
    for path in studies.glob("*.dcm"):
        path.write_bytes(path.read_bytes()[:-200])
    cut = looked(studies)
    assert cut.modalities == whole.modalities
    assert cut.usable == whole.usable


def test_classes_are_counted_by_film_and_patient(studies: Path, film: Film) -> None:
    film(9, PatientID="ZZPHI-0001").save_as(studies / "9.dcm")
    film(8).save_as(studies / "8.dcm")
    with (studies / "labels.csv").open("a") as table:
        table.write("\nZZPHI-0099,normal")
    found = labelled(studies, read_labels(studies, USUAL))
    assert found.films == {"normal": 3, "pneumonia": 4}
    assert found.patients == {"normal": 3, "pneumonia": 3}
    assert (found.refused, found.unknown_keys, found.hidden) == ({"label_missing": 1}, 1, 0)


def test_a_class_of_one_patient_is_not_named(studies: Path) -> None:
    lines = [f"ZZPHI-{n:04},{'same' if n < 4 else f'ZZSOMEBODY {n}'}" for n in range(1, 7)]
    (studies / "labels.csv").write_text("\n".join(["PatientID,label", *lines]))
    found = labelled(studies, read_labels(studies, USUAL))
    assert found.films == {"same": 3}
    assert found.hidden == 3


def test_classes_that_are_patients_are_an_error(studies: Path) -> None:
    lines = [f"ZZPHI-{n:04},zzphi{n:04}" for n in range(1, 7)]
    (studies / "table.csv").write_text("\n".join(["PatientID,label", *lines]))
    labels = read_labels(studies, Labelling(studies / "table.csv"))
    with pytest.raises(CohortError, match="named by an identifier"):
        labelled(studies, labels)
