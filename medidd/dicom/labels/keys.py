"""Columns by which a row finds its films, in the spellings that tables use.

Public tables rarely use DICOM's keywords: NIH writes ``Image Index``, VinDr and PadChest write
``image_id`` and ``ImageID``, MIMIC-CXR writes ``dicom_id``, ``study_id`` and ``subject_id``.
"""

KEYS = (
    *("path", "SOPInstanceUID", "file", "StudyInstanceUID", "AccessionNumber", "StudyID"),
    "PatientID",
)
"""The first in this order that a table has counts: from one film to all films of a patient."""

_SPELLINGS = {
    "path": {"filepath", "imagepath", "dicompath", "relativepath", "fullpath"},
    "file": {
        *("filename", "image", "imageid", "imageindex", "imagename", "imagefile"),
        *("imagefilename", "dicomid", "dicomfile", "dicomfilename", "dicom"),
    },
    "PatientID": {"subjectid"},
}
_READERS = frozenset(
    {"radid", "reader", "readerid", "rater", "raterid", "radiologist", "radiologistid"}
    | {"annotator", "annotatorid", "observer", "observerid"}
)


def plain(name: str) -> str:
    """Returns a column's name without case, spacing and punctuation."""
    return "".join(filter(str.isalnum, name)).lower()


def names_of(key: str) -> frozenset[str]:
    """Returns the plain names of the columns that are this key."""
    return frozenset({key.lower(), *_SPELLINGS.get(key, ())})


def is_key(name: str) -> bool:
    """Tells whether a column finds films."""
    return any(plain(name) in names_of(key) for key in KEYS)


def is_reader(name: str) -> bool:
    """Tells whether a column says which person read the film."""
    return plain(name) in _READERS
