"""One file's header: can the film be used, and which patient and study is it from?

pydicom's warnings and errors repeat element values, so none of their text leaves this module:
``quiet`` silences it, and ``refusing`` turns it into a reason code.
"""

import hashlib
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, BinaryIO, cast

from pydicom import Dataset, dcmread, uid
from pydicom.dataset import FileDataset
from pydicom.pixels.decoders.base import get_decoder

from medidd.dicom import codecs
from medidd.dicom.archives import LOOK, kind_of
from medidd.dicom.errors import Refused
from medidd.dicom.header.elements import optional, text
from medidd.dicom.header.radiograph import TAGS, require_radiograph, side_of, without_uid
from medidd.dicom.header.traits import age_band, maker, sex_of
from medidd.dicom.reading import DEFAULT, Reading
from medidd.dicom.refusals import Exposure
from medidd.dicom.source import Source
from medidd.dicom.views import FIELDS, matches, view_of

MAX_PIXELS = 2**26
_LINKS = (
    *("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "AccessionNumber", "PatientID"),
    *("PatientName", "OtherPatientIDs", "StudyID"),
)
_TRIAL = ("ClinicalTrialSubjectID", "ClinicalTrialSubjectReadingID")
_NAMES = ("PatientBirthDate", "PatientBirthName")
_STAFF = ("InstitutionName", "ReferringPhysicianName", "PerformingPhysicianName", "OperatorsName")
_PIXELS = ("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation")
_BITS = ("BitsAllocated", "BitsStored", "PixelRepresentation")
_OTHERS = ("IssuerOfPatientID", "NumberOfFrames", "BurnedInAnnotation")
_TRAITS = ("PatientSex", "PatientAge", "StudyDate", "Manufacturer", "ManufacturerModelName")
_TAGS = [
    *{*TAGS, *_LINKS, *_TRIAL, *_NAMES, *_STAFF, *_PIXELS, *_BITS, *_OTHERS, *FIELDS, *_TRAITS}
]
NO_LINKS = dict.fromkeys((*_LINKS, *_TRIAL), "")  # of what has no header
codecs.register()

_PIXEL_DATA = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_AT_PIXELS = (b"\xe0\x7f", b"\x7f\xe0")  # group 7FE0 in little and in big endian


@dataclass(frozen=True, repr=False, slots=True)
class Header:
    """What a cohort needs to know about a radiograph; without a repr: it identifies people.

    Attributes:
        source: the file.
        links: SOP instance, study and series UID, accession number, and what may name a patient,
            by keyword; empty if the file has none. A film that is used without UIDs has a hash of
            its file instead.
        issuer: IssuerOfPatientID, which separates equal PatientIDs of two hospitals.
        identifiers: all values that could identify patient, staff, study or hospital.
        sex: "M", "F", "O" or ''.
        age: band of years, or ''.
        device: manufacturer and model in words, or ''.
        state: the file's state before it was read; see ``Source.state``.
        view: name of the view, or ''.
        side: "L", "R" or ''.
        stem: a picture's file name without suffix, which may name a patient; '' for DICOM.
    """

    source: Source
    links: dict[str, str]
    issuer: str
    identifiers: frozenset[str]
    sex: str = ""
    age: str = ""
    device: str = ""
    state: tuple[int, int] = (0, 0)
    view: str = ""
    side: str = ""
    stem: str = ""

    @property
    def exposure(self) -> Exposure:
        """What the film is of."""
        return Exposure(
            self.links["StudyInstanceUID"], self.links["SOPInstanceUID"], self.view, self.side
        )

    @property
    def path(self) -> Path:
        """Where the file is; see ``Source.place``."""
        return self.source.place


@contextmanager
def quiet() -> Iterator[None]:
    """Silences warnings and logs; those of pydicom and its decoders repeat element values."""
    was = logging.root.manager.disable
    if was < logging.CRITICAL:  # else it is quiet already, and a second call takes milliseconds
        logging.disable()  # all loggers: disabling "pydicom" alone would not silence its children
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if was < logging.CRITICAL:
            logging.disable(was)


@contextmanager
def refusing(code: str) -> Iterator[None]:
    """Turns every error except a refusal into the refusal ``code`` and drops the error's text.

    pydicom and its decoders raise nearly every type, so this must catch ``Exception``.
    """
    try:
        with quiet():
            yield
    except Refused:
        raise
    except Exception:
        raise Refused(code) from None


def read_header(source: Source, reading: Reading = DEFAULT) -> Header:
    """Returns the header of a radiograph.

    Args:
        source: the file.
        reading: which radiographs are used.

    Raises:
        Refused: the file is no radiograph that can be used.
    """
    with refusing("unreadable"):
        state = source.state()
    with _opened(source) as file:
        return replace(_header(source, file, reading), state=state)


def read_exposure(source: Source) -> Exposure:
    """Returns what raw detector data are of.

    Raises:
        Refused: the header cannot be read any more.
    """
    with _opened(source) as file:
        found = read(file, pixels=False)
        study, instance = (text(found, of) for of in ("StudyInstanceUID", "SOPInstanceUID"))
        return Exposure(study, instance, _view(found), side_of(found))


def read_film(source: Source, reading: Reading = DEFAULT) -> FileDataset:
    """Returns the object in a file, its header checked as by ``read_header``, with its pixels.

    Raises:
        Refused: the file is no radiograph that can be used.
    """
    with _opened(source) as file:
        found = read(file, pixels=True)
        if not any(keyword in found for keyword in _PIXEL_DATA):
            # If a file ends within its pixels, pydicom may return no pixels at all.
            file.seek(0)
            _header(source, file, reading)
            raise Refused("pixels_truncated")
        _require_usable(found, reading)
        return found


@contextmanager
def _opened(source: Source) -> Iterator[IO[bytes]]:
    """Opens a file that may be a DICOM object; errors during reading become refusals."""
    if source.place.name.upper() == "DICOMDIR":
        raise Refused("dicomdir_ignored")
    with refusing("unreadable"):
        source.require_file()
        with source.open() as file:
            _require_dicom(file.read(LOOK))
            file.seek(0)
            with refusing("header_error"):
                yield file


def read(file: IO[bytes], *, pixels: bool) -> FileDataset:
    """Returns the object in a file, even without preamble and file meta information."""
    tags = None if pixels else list(_TAGS)
    # pydicom needs only read, seek and tell of a file.
    opened = cast("BinaryIO", file)
    found = dcmread(opened, force=True, stop_before_pixels=not pixels, specific_tags=tags)
    if not len(found.file_meta):
        implicit, little = found.original_encoding
        native = uid.ImplicitVRLittleEndian if implicit else uid.ExplicitVRLittleEndian
        found.file_meta.TransferSyntaxUID = native if little else uid.ExplicitVRBigEndian
    return found


def _require_dicom(start: bytes) -> None:
    if kind_of(start):
        raise Refused("nested_archive")
    # Without a preamble pydicom would accept any text, so require group 0002 or 0008.
    if start[128:132] != b"DICM" and start[:2] not in (b"\x02\x00", b"\x08\x00"):
        raise Refused("not_dicom")


def _header(source: Source, file: IO[bytes], reading: Reading) -> Header:
    found = read(file, pixels=False)
    _require_usable(found, reading)
    deflated = found.file_meta.TransferSyntaxUID == uid.DeflatedExplicitVRLittleEndian
    # pydicom stops at the pixels; a deflated file it reads to the end.
    if not deflated and file.read(2) not in _AT_PIXELS:
        raise Refused("pixels_truncated")
    links = {keyword: text(found, keyword) for keyword in _LINKS}
    links |= {keyword: optional(found, keyword) for keyword in _TRIAL}
    names = {text(found, keyword) for keyword in (*_NAMES, *_STAFF)}
    identifiers = frozenset({*links.values(), *names} - {""})
    if without_uid(found):
        links["SOPInstanceUID"] = links["SOPInstanceUID"] or content_of(file)
        links["StudyInstanceUID"] = links["StudyInstanceUID"] or links["SOPInstanceUID"]
    return Header(
        source,
        links,
        text(found, "IssuerOfPatientID"),
        identifiers,
        sex=sex_of(optional(found, "PatientSex")),
        age=age_band(
            *(optional(found, of) for of in ("PatientAge", "PatientBirthDate", "StudyDate"))
        ),
        device=maker(optional(found, "Manufacturer"), optional(found, "ManufacturerModelName")),
        view=_view(found),
        side=side_of(found),
    )


def content_of(file: IO[bytes]) -> str:
    """Returns what stands for the UID of a film without one: equal for equal files only."""
    digest = hashlib.sha256()
    file.seek(0)
    while block := file.read(2**20):
        digest.update(block)
    return digest.hexdigest()


def _view(found: Dataset) -> str:
    with suppress(Exception):
        return view_of(found) or ""
    return ""


def _require_usable(found: FileDataset, reading: Reading) -> None:
    try:
        require_radiograph(found, reading)
    except Refused as refused:
        if refused.code == "for_processing" and _view(found):
            _require_view(found, reading.views)  # raw data of a view that nobody asked for
        raise
    if reading.burned_in == "reject" and text(found, "BurnedInAnnotation") == "YES":
        raise Refused("burned_in_tag")
    _require_grayscale(found, reading)
    _require_view(found, reading.views)
    _require_decoder(found.file_meta.get("TransferSyntaxUID"))


def _require_view(found: Dataset, wanted: tuple[str, ...]) -> None:
    if not wanted:
        return
    view = view_of(found)
    used = False if view is None else matches(view, wanted)
    if view == "" or used is None:
        raise Refused("view_unknown")
    if not used:
        raise Refused("view_excluded")


def _require_grayscale(found: Dataset, reading: Reading) -> None:
    if not all(text(found, keyword) for keyword in (*_PIXELS, *_BITS)):
        raise Refused("missing_tag")
    frames = int(text(found, "NumberOfFrames") or 1)
    if frames > 1 and reading.frames == "reject":
        raise Refused("multiframe")
    photometric = text(found, "PhotometricInterpretation")
    if int(found.SamplesPerPixel) != 1 or photometric == "PALETTE COLOR":
        raise Refused("color")
    if photometric not in ("MONOCHROME1", "MONOCHROME2"):
        raise Refused("photometric_invalid")
    if int(found.Rows) * int(found.Columns) > MAX_PIXELS:
        raise Refused("too_large")


def _require_decoder(syntax: uid.UID | None) -> None:
    if syntax is None:
        raise Refused("missing_tag")
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise Refused("unsupported_transfer_syntax") from None
    if not decoder.is_available:
        raise Refused("codec_missing")
