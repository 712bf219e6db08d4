"""What is a film: the SOP class says so, before Modality and Image Type."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom import uid

from medidd.dicom.errors import ACCEPTED_BY, REASONS
from medidd.dicom.folder.cohort import Cohort, ingest
from medidd.dicom.folder.scan import examined
from medidd.dicom.header.header import Header
from medidd.dicom.header.radiograph import remarks
from medidd.dicom.reading import DEFAULT, Reading
from medidd.dicom.refusals import Refusal
from medidd.dicom.source import Source

Film = Callable[..., Any]

CAPTURE = uid.SecondaryCaptureImageStorage
DX = uid.DigitalXRayImageStorageForPresentation
RAW = uid.DigitalXRayImageStorageForProcessing
RESAMPLED = ["DERIVED", "SECONDARY", "", "CSA RESAMPLED"]
DOUBTFUL = ("modality_doubtful",)
ANYTHING = Reading(accept=("secondary-capture", "no-uid", "symlinks"))


def end(
    path: Path, film: Film, reading: Reading, elements: dict[str, Any]
) -> str | tuple[str, ...]:
    """Returns the reason code of a film with these elements, or what is remarked about it."""
    made = film(1, **elements)
    made.save_as(path)
    found = examined(Source(path), reading)
    assert isinstance(found, Header | Refusal)
    return found.code if isinstance(found, Refusal) else remarks(made, reading)


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({"ImageType": RESAMPLED}, ()),
        ({"ImageType": RESAMPLED, "SOPClassUID": DX, "Modality": "DX"}, ()),
        ({"ImageType": RESAMPLED, "ConversionType": ""}, ()),
        ({"ImageType": RESAMPLED, "ConversionType": "WSD"}, "secondary_capture"),
        ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, "secondary_capture"),
        ({"ImageType": ["ORIGINAL", "PRIMARY"], "ConversionType": "DI"}, ()),
        ({"ImageType": "DERIVED"}, ()),
        ({"SOPClassUID": CAPTURE}, "secondary_capture"),
        ({"SOPClassUID": CAPTURE, "Modality": None}, "secondary_capture"),
        ({"SOPClassUID": CAPTURE, "Modality": "US"}, "modality_excluded"),
        ({"SOPClassUID": DX, "Modality": None}, DOUBTFUL),
        ({"SOPClassUID": DX, "Modality": ""}, DOUBTFUL),
        ({"SOPClassUID": DX, "Modality": "OT"}, DOUBTFUL),
        ({"Modality": "XR"}, DOUBTFUL),
        ({"Modality": "RG"}, ()),
        ({"Modality": "MG"}, "modality_excluded"),
        ({"SOPClassUID": uid.CTImageStorage}, "sop_class_excluded"),
        ({"SOPClassUID": uid.CTImageStorage, "Modality": None}, "sop_class_excluded"),
        ({"SOPClassUID": uid.CTImageStorage, "Modality": "CT"}, "modality_excluded"),
        ({"SOPClassUID": RAW, "Modality": "DX"}, "for_processing"),
        ({"SOPClassUID": RAW, "Modality": None}, "for_processing"),
        ({"SOPClassUID": uid.KeyObjectSelectionDocumentStorage, "Rows": None}, "no_image"),
        (
            {"SOPClassUID": uid.BasicTextSRStorage, "Rows": None, "StudyInstanceUID": None},
            "no_image",
        ),
        ({"Rows": None}, "missing_tag"),
        ({"PixelData": None}, "pixels_truncated"),
        ({"SOPInstanceUID": None}, "no_uid"),
        ({"StudyInstanceUID": None}, "no_uid"),
        ({"SOPClassUID": None}, "no_uid"),
    ],
)
def test_the_sop_class_decides(
    tmp_path: Path, film: Film, elements: dict[str, Any], expected: str | tuple[str, ...]
) -> None:
    assert end(tmp_path / "film", film, DEFAULT, elements) == expected


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({"SOPClassUID": CAPTURE, "ConversionType": "WSD"}, ("secondary_capture_used",)),
        ({"SOPClassUID": CAPTURE, "Modality": None}, ("secondary_capture_used", *DOUBTFUL)),
        ({"SOPClassUID": CAPTURE, "Modality": "OT"}, "modality_excluded"),
        ({"SOPClassUID": CAPTURE, "ConversionType": "SYN"}, "secondary_capture"),
        ({"ImageType": RESAMPLED, "ConversionType": "DF"}, ("secondary_capture_used",)),
        ({"ImageType": RESAMPLED, "ConversionType": "SD"}, "secondary_capture"),
        ({"SOPInstanceUID": None}, ("no_uid_used",)),
        ({"SOPClassUID": None, "Modality": None}, ("no_uid_used", *DOUBTFUL)),
        ({"SOPClassUID": None, "Modality": "CT"}, "modality_excluded"),
        ({}, ()),
    ],
)
def test_what_is_accepted_is_remarked(
    tmp_path: Path, film: Film, elements: dict[str, Any], expected: str | tuple[str, ...]
) -> None:
    assert end(tmp_path / "film", film, ANYTHING, elements) == expected


def test_the_file_meta_information_may_say_what_a_film_without_uids_is(
    tmp_path: Path, film: Film
) -> None:
    made = film(1, SOPClassUID=None, SOPInstanceUID=None)
    made.file_meta.MediaStorageSOPClassUID = uid.CTImageStorage
    made.save_as(tmp_path / "film")
    found = examined(Source(tmp_path / "film"), Reading(accept=("no-uid",)))
    assert isinstance(found, Refusal)
    assert found.code == "sop_class_excluded"


def test_films_without_uids_make_a_cohort_and_copies_of_one_are_one(
    studies: Path, tmp_path: Path, film: Film
) -> None:
    for number in range(1, 7):
        nameless = {"SOPInstanceUID": None, "StudyInstanceUID": None, "SOPClassUID": None}
        film(number, **nameless).save_as(studies / f"{number}.dcm")
    (studies / "copy.dcm").write_bytes((studies / "1.dcm").read_bytes())
    options: dict[str, Any] = {"size": 8, "key": b"key", "reading": Reading(accept=("no-uid",))}
    list(ingest(studies, None, folder=tmp_path / "c", **options))
    made = Cohort.open(tmp_path / "c")
    assert made.refused == {"duplicate": 1, "not_dicom": 1}
    assert made.warned == {"no_uid_used": 6}
    assert len(made.images) == len(set(made.patients)) == 6


def test_a_reason_names_the_option_that_uses_its_files() -> None:
    for code, kind in ACCEPTED_BY.items():
        assert f"--accept {kind}" in REASONS[code]
        assert Reading(accept=(kind,)).accept == (kind,)  # type: ignore[arg-type]
