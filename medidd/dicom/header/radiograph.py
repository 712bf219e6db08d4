"""What an object is: a radiograph, raw detector data, a capture, or nothing with an image.

The SOP class says which rules an object follows (PS3.4 B.5), so it decides before Modality, which
says what acquired the image (PS3.3 C.7.3.1.1.1) and is often empty or wrong.
"""

from pydicom import Dataset, uid
from pydicom.dataset import FileDataset

from medidd.dicom.errors import Refused
from medidd.dicom.header import terms
from medidd.dicom.header.elements import optional, text
from medidd.dicom.reading import DEFAULT, Reading

MODALITIES = frozenset({"CR", "DX", "RG"})
RADIOGRAPHS = (uid.ComputedRadiographyImageStorage, uid.DigitalXRayImageStorageForPresentation)
RAW = uid.DigitalXRayImageStorageForProcessing
CAPTURES = (
    uid.SecondaryCaptureImageStorage,
    uid.MultiFrameSingleBitSecondaryCaptureImageStorage,
    uid.MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    uid.MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    uid.MultiFrameTrueColorSecondaryCaptureImageStorage,
)
TAGS = (
    *("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "Modality", "ImageType"),
    *("PresentationIntentType", "ConversionType", "Rows", "ImageLaterality", "Laterality"),
)
"""What is asked of a header here."""

_UIDS = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID")
_VAGUE = frozenset({"OT", "FID", "RF"})
"""Modalities of which radiographs exist: other, film digitizer, radio fluoroscopy."""
_OTHER_IMAGES = terms.MODALITIES - MODALITIES - _VAGUE
_NEVER = frozenset({"SD", "DRW", "SYN"})
"""Conversion Types (PS3.3 C.8.6.1) of what was never a film: document, drawing, synthetic image."""


def require_radiograph(found: FileDataset, reading: Reading = DEFAULT) -> None:
    """Checks that an object is a radiograph.

    Storage of CR and DX for presentation is a radiograph, unless Modality names another kind of
    image. The second value of Image Type does not matter: SECONDARY means that pixels were made
    after the examination, as by resampling (PS3.3 C.7.6.1.1.2). What was captured says so by its
    SOP class (A.8) or by Conversion Type (C.8.6.1).

    Raises:
        Refused: it is none.
    """
    kind = sop_class(found, reading)
    if kind == uid.MediaStorageDirectoryStorage:
        raise Refused("dicomdir_ignored")
    if kind and kind not in (*RADIOGRAPHS, RAW) and not text(found, "Rows"):
        raise Refused("no_image")
    if without_uid(found) and "no-uid" not in reading.accept:
        raise Refused("no_uid")
    modality = _modality(found)
    if kind in CAPTURES:
        _require_accepted_capture(found, modality, reading)
    elif kind and kind not in (*RADIOGRAPHS, RAW):
        other = modality and modality not in MODALITIES
        raise Refused("modality_excluded" if other else "sop_class_excluded")
    if modality in _OTHER_IMAGES:
        raise Refused("modality_excluded")
    if kind == RAW or text(found, "PresentationIntentType") == "FOR PROCESSING":
        raise Refused("for_processing")
    if _is_captured(found) and not _is_accepted(found, reading):
        raise Refused("secondary_capture")


def remarks(found: FileDataset, reading: Reading = DEFAULT) -> tuple[str, ...]:
    """Returns what is odd about the header of a radiograph that is used: keys of ``WARNINGS``."""
    captured = sop_class(found, reading) in CAPTURES or _is_captured(found)
    said = {
        "secondary_capture_used": captured,
        "no_uid_used": without_uid(found),
        "modality_doubtful": _modality(found) not in MODALITIES,
    }
    return tuple(code for code, is_so in said.items() if is_so)


def sop_class(found: FileDataset, reading: Reading = DEFAULT) -> str:
    """Returns the SOP class; '' if the object does not say it.

    If films without UIDs are accepted, the file meta information may say it (PS3.10 7.1), but only
    by a UID of the standard: what removed the UIDs may have left anything there.
    """
    said = text(found, "SOPClassUID")
    if not said and "no-uid" in reading.accept:
        written = uid.UID(text(found.file_meta, "MediaStorageSOPClassUID"))
        return written if written and not written.is_private and written.name != written else ""
    return said


def without_uid(found: Dataset) -> bool:
    """Whether the object lacks its SOP class, its own UID or its study's."""
    return not all(text(found, keyword) for keyword in _UIDS)


def side_of(found: Dataset) -> str:
    """Returns "L" or "R" for a film of one side of the body (PS3.3 C.7.3.1, C.8.11.5), or ''."""
    sides = {optional(found, keyword).upper() for keyword in ("ImageLaterality", "Laterality")}
    sides &= {"L", "R"}
    return sides.pop() if len(sides) == 1 else ""


def _modality(found: Dataset) -> str:
    return text(found, "Modality").upper()


def _require_accepted_capture(found: Dataset, modality: str, reading: Reading) -> None:
    """Only Modality says whether a capture shows a film: its SOP class is the same for all."""
    if modality and modality not in MODALITIES:
        raise Refused("modality_excluded")
    if not _is_accepted(found, reading):
        raise Refused("secondary_capture")


def _is_accepted(found: Dataset, reading: Reading) -> bool:
    never = text(found, "ConversionType").upper() in _NEVER
    return "secondary-capture" in reading.accept and not never


def _is_captured(found: Dataset) -> bool:
    """Whether a file of CR or DX storage says that it was captured from a screen, film or paper."""
    _, made, *notes = (*text(found, "ImageType").upper().split("\\"), "")
    screen = any("SCREEN" in note for note in notes)
    return made.strip() == "SECONDARY" and (bool(text(found, "ConversionType")) or screen)
