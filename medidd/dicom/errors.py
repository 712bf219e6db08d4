"""What can be wrong with a cohort or a file. No message repeats anything that a file holds.

A message may name the folder as the user typed it, counts and reason codes. It never contains an
element's value, a UID, a patient or a file name: these identify people, and messages end up in
logs.
"""

from collections.abc import Mapping

REASONS = {
    "not_a_file": "a socket, pipe or device",
    "symlink_skipped": "a symbolic link; put the file itself into the folder",
    "dicomdir_ignored": "a DICOMDIR; the files it lists are found without it",
    "unreadable": "the file could not be opened; check its permissions",
    "bad_zip": "a broken zip archive, or two files in it have one name",
    "encrypted_zip": "a zip archive with a password; unpack it",
    "zip_bomb": "a zip archive that unpacks to more than films can be",
    "nested_archive": "a zip archive within another; unpack it",
    "not_dicom": "no DICOM file",
    "header_error": "the header cannot be parsed",
    "no_image": "an object without an image, such as a report",
    "no_uid": "no SOP class, SOP instance or study UID",
    "missing_tag": "an attribute that pixels cannot be read without is missing",
    "modality_excluded": "no radiograph: Modality is not CR, DX or RG",
    "sop_class_excluded": "no radiograph: neither CR nor DX storage",
    "for_processing": "raw detector data; send the FOR PRESENTATION object",
    "secondary_capture": "a screenshot or scanned film",
    "multiframe": "more than one frame; --frames takes one of them",
    "color": "a color image",
    "photometric_invalid": "neither MONOCHROME1 nor MONOCHROME2",
    "too_large": "more than 2**26 pixels",
    "burned_in_tag": "the header says that identifiers are burned into the pixels",
    "view_excluded": "another view than those asked for",
    "view_unknown": "the film names no view, and certain views were asked for",
    "unsupported_transfer_syntax": "no decoder exists for the transfer syntax",
    "codec_missing": "the decoder is not installed; pip install 'medidd[codecs]'",
    "label_missing": "no label in the table, or an empty or uncertain one",
    "label_unmapped": "several labels in one cell; name one target",
    "duplicate": "the same object once more; one copy is used",
    "conflicting_duplicate": "one object with two contents or labels; no copy is used",
    "duplicate_pixels": "the same film once more under another UID; one is used",
    "pixels_truncated": "fewer pixels than the header says; fetch the file again",
    "pixels_invalid": "the pixels cannot be decoded",
    "lut_short": "a look-up table is shorter than its descriptor says",
    "non_finite": "pixel values overflow or are not numbers",
    "constant_image": "every pixel has the same value",
    "decoder_crash": "the file crashed the process that read it; have it compressed again",
    "timeout": "the file took too long; have it compressed again",
    "label_ambiguous": "the name of the file, or the StudyID, does not say which row of the table "
    "is about this film alone; use a key that no two films or patients share",
    "split_missing": "no split in the table that --splits names",
}
"""Reason codes (a stable interface), and what each means."""

WARNINGS = {
    "presentation_lut_conflict": "Presentation LUT Shape contradicts Photometric Interpretation, "
    "which medidd uses",
    "shutter_ignored": "the shutter or collimator leaves nothing open, is not described, or not "
    "in pixels of the film; the film is not cut",
    "burned_in_suspected": "something like a line of text is in the pixels; look at the film",
    "burned_in_masked": "something like a line of text was painted over",
}
"""Codes for films that are used although something is odd about them, and what each means."""

HARMLESS = frozenset(
    {"not_dicom", "dicomdir_ignored", "duplicate", "duplicate_pixels", "view_excluded"}
)
"""Codes that lose no film that was asked for; a ``labels.csv`` among the films is no failure."""


class CohortError(Exception):
    """The input gives no cohort; the message is one line that names the thing and the remedy."""


class TooManyRefused(CohortError):  # noqa: N818 - names what happened, as Refused does
    """More files were refused than the user allows."""


class Refused(Exception):  # noqa: N818 - a refusal is an outcome; the run goes on without the file
    """One file is left out.

    Attributes:
        code: a key of ``REASONS``.
    """

    def __init__(self, code: str) -> None:
        super().__init__(f"{code}: {REASONS[code]}")
        self.code = code


def counts(refused: Mapping[str, int]) -> str:
    """Returns refusals by code, most frequent first: ``color 3, multiframe 1``."""
    ordered = sorted(refused.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{code} {count}" for code, count in ordered) or "none"
