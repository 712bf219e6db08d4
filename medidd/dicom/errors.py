"""What can be wrong with a cohort or a file. No message repeats anything that a file holds.

A message may name the folder as the user typed it, counts and reason codes. It never contains an
element's value, a UID, a patient or a file name: these identify people, and messages end up in
logs.
"""

from collections.abc import Mapping

REASONS = {
    "not_a_file": "a socket, pipe or device",
    "symlink_skipped": "a symbolic link; put the file itself there, or use --accept symlinks",
    "dicomdir_ignored": "a DICOMDIR; the files it lists are found without it",
    "unreadable": "the file could not be opened; check its permissions",
    "bad_zip": "a broken archive (zip, tar or gzip), or two files in it have one name",
    "encrypted_zip": "a zip archive with a password; unpack it",
    "zip_bomb": "an archive that unpacks to more than films can be",
    "nested_archive": "an archive within another; unpack it",
    "not_dicom": "no DICOM file",
    "header_error": "the header cannot be parsed",
    "no_image": "an object without an image, such as a report or a presentation state",
    "no_uid": "no SOP class, SOP instance or study UID; --accept no-uid uses such films",
    "missing_tag": "an attribute that pixels cannot be read without is missing",
    "modality_excluded": "no radiograph: Modality names another kind of image",
    "sop_class_excluded": "no radiograph: neither CR nor DX storage",
    "for_processing": "raw detector data; send the FOR PRESENTATION object",
    "secondary_capture": "a screenshot or scanned film; --accept secondary-capture uses films",
    "multiframe": "more than one frame; --frames takes one of them",
    "color": "a color image",
    "photometric_invalid": "neither MONOCHROME1 nor MONOCHROME2",
    "too_large": "more than 2**26 pixels",
    "burned_in_tag": "the header says that identifiers are burned into the pixels",
    "view_excluded": "another view than those asked for",
    "view_unknown": "certain views were asked for, and the film's view is not named or understood",
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
    "raw_twin": "raw detector data of a film that is there",
    "symlink_loop": "a symbolic link into a circle, or to a folder that is read anyway",
    "packed": "packed in a way that medidd does not read, or a packed tar of more than 256 MiB; "
    "unpack it",
    "label_ambiguous": "the name of the file, or the StudyID, does not say which row of the table "
    "is about this film alone; use a key that no two films or patients share",
    "split_missing": "no split in the table that --splits names",
    "not_picture": "no PNG, JPEG or TIFF file",
    "dicom_unasked": "a DICOM file in a folder of pictures; move it to another folder and use "
    "--dicom-dir",
    "picture_depth": "a picture with other than 8 or 16 bits per gray value, or with 16 bits per "
    "color; save it as gray with 8 or 16 bits",
    "picture_format": "a picture in another format; save it as PNG or TIFF",
    "region_missing": "no region in the table or folder that --regions names, and the film's class "
    "is not the background",
    "region_ambiguous": "the name of the file does not say which region is the film's",
    "region_invalid": "a box outside the film, or a mask that cannot be read or has another shape "
    "than the film",
    "region_unused": "a mask, or a key of the table of regions, that no film has",
}
"""Reason codes (a stable interface), and what each means."""

WARNINGS = {
    "presentation_lut_conflict": "Presentation LUT Shape contradicts Photometric Interpretation, "
    "which medidd uses",
    "shutter_ignored": "the shutter or collimator leaves nothing open, is not described, or not "
    "in pixels of the film; the film is not cut",
    "burned_in_suspected": "something like a line of text is in the pixels; look at the film",
    "burned_in_masked": "something like a line of text was painted over",
    "high_bit_shifted": "High Bit is not Bits Stored - 1; the values are taken from the bits below "
    "High Bit",
    "high_bit_ignored": "High Bit is missing or impossible; the values are taken from the lowest "
    "bits",
    "codestream_conflict": "the compressed values have another sign or more bits than the header "
    "says; they are used as they are compressed",
    "decimal_comma": "a number is written with a decimal comma",
    "number_ignored": "a pixel spacing or a window is no number and is not used",
    "voi_lut_ignored": "the VOI LUT has too little data, or shows all values alike; another LUT, "
    "the window or percentiles are used",
    "lut_sign": "a look-up table holds values of the film only if its first value is read with the "
    "other sign; it is read so",
    "window_ignored": "the window is incomplete, or shows all values alike; another window or "
    "percentiles are used",
    "lut_swapped": "the entries of a look-up table fit its depth only with their two bytes "
    "exchanged; they are read so",
    "frames_zero": "Number of Frames is less than 1; the first frame is used",
    "secondary_capture_used": "a secondary capture, accepted as a film",
    "no_uid_used": "no SOP class, SOP instance or study UID, accepted as a film",
    "modality_doubtful": "Modality is missing or not CR, DX or RG; the SOP class says radiograph",
    "alpha_ignored": "a picture has transparent pixels or could have some; they count as if they "
    "were not transparent",
    "picture_turned": "a picture says that it does not lie upright; it was turned as it says",
}
"""Codes for films that are used although something is odd about them, and what each means."""

HARMLESS = frozenset(
    {"not_dicom", "dicomdir_ignored", "duplicate", "duplicate_pixels", "view_excluded"}
    | {"no_image", "raw_twin", "not_picture", "region_unused"}
)
"""Codes that lose no film that was asked for; a ``labels.csv`` among the films is no failure."""

NO_DICOM = frozenset({"not_dicom", "dicomdir_ignored"})
"""Codes of files in a folder without DICOM objects."""

NO_PICTURE = frozenset({"not_picture", "dicom_unasked"})
"""Codes of files in a folder without pictures."""

NO_REGION = frozenset({"region_missing", "region_ambiguous"})
"""Codes of films for which no region was found."""

ACCEPTED_BY = {
    "secondary_capture": "secondary-capture",
    "no_uid": "no-uid",
    "symlink_skipped": "symlinks",
}
"""What ``reading.Reading.accept`` must name so that files with a code are used."""


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


def parted(refused: Mapping[str, int]) -> tuple[dict[str, int], dict[str, int]]:
    """Returns the refusals by code that lost films, and those that did not; both by code."""
    lost = {code: count for code, count in sorted(refused.items()) if code not in HARMLESS}
    harmless = {code: count for code, count in sorted(refused.items()) if code in HARMLESS}
    return lost, harmless


def counts(refused: Mapping[str, int]) -> str:
    """Returns refusals by code, most frequent first: ``color 3, multiframe 1``."""
    ordered = sorted(refused.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{code} {count}" for code, count in ordered) or "none"
