"""The released images as DICOM files, for viewers and archives that read nothing else.

They are Secondary Captures (PS3.3 A.8.1), not radiographs: an archive must never take them for
acquired films. Nothing is copied from a film; no film is read here. Each image gets an invented
patient of its own.

Every byte of a file depends on the release alone: it has no date, and its UIDs are UUIDs of the
release's SHA-256 (PS3.5 B.2), not random. So the same export gives the same bytes, and the audit
can tell these UIDs from the UIDs of a study. The levels are those of the release: these files show
nothing that the audits did not see in the images.
"""

import hashlib
import io
import uuid
from collections.abc import Iterator
from importlib.metadata import version

from pydicom import Dataset, FileMetaDataset, dcmwrite
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from pipelines.run.release_file import Release, preview_names
from privacy.gates.leaks import tokens
from privacy.gates.secondary_capture import BITS, WORDS

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://medidd.invalid/dicom")
_IMPLEMENTATION = UID(f"2.25.{_NAMESPACE.int}")


def dicom_files(release: Release, data: bytes) -> dict[str, bytes]:
    """Returns one DICOM file per image, by its name in the bundle.

    Args:
        release: what leaves.
        data: the release as a file; the UIDs are made from its hash.
    """
    digest = hashlib.sha256(data).hexdigest()
    names = [f"dicom/{name.removesuffix('.png')}.dcm" for name in preview_names(release)]
    found = {}
    for number, name in enumerate(names):
        stream = io.BytesIO()
        dcmwrite(stream, _instance(release, digest, number), enforce_file_format=True)
        found[name] = stream.getvalue()
    return found


def own_tokens(release: Release, data: bytes) -> frozenset[str]:
    """Returns the UIDs that ``dicom_files`` makes, and the words it writes for every release."""
    digest = hashlib.sha256(data).hexdigest()
    uids = {
        _uid(digest, kind, number)
        for kind in ("study", "series", "instance")
        for number in range(len(release.levels))
    }
    words = [*WORDS.values(), version("medidd")]
    words += [f"SYN-{number}" for number in range(len(release.levels))]
    return frozenset({*uids, _IMPLEMENTATION, *words, *(t for text in words for t in tokens(text))})


def _instance(release: Release, digest: str, number: int) -> Dataset:
    """Returns one image with the elements that its modules require, and no others."""
    (levels,) = release.levels[number]  # gray; else a ValueError
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.ImplementationClassUID = _IMPLEMENTATION
    made.file_meta.ImplementationVersionName = WORDS["ImplementationVersionName"]
    made.SOPClassUID = SecondaryCaptureImageStorage
    made.StudyInstanceUID = _uid(digest, "study", number)
    made.SeriesInstanceUID = _uid(digest, "series", number)
    made.SOPInstanceUID = _uid(digest, "instance", number)
    made.PatientID = f"SYN-{number}"
    for keyword in _constant():
        setattr(made, keyword, WORDS[keyword])
    for keyword in _EMPTY:
        setattr(made, keyword, None)
    made.SoftwareVersions = version("medidd")
    made.ContributingEquipmentSequence = _equipment()
    made.InstanceNumber = number + 1
    made.Rows, made.Columns = levels.shape
    made.SamplesPerPixel, made.PixelRepresentation = 1, 0
    made.BitsAllocated, made.BitsStored, made.HighBit = BITS, BITS, BITS - 1
    pixels = levels.contiguous().numpy().tobytes()
    made.PixelData = pixels + bytes(len(pixels) % 2)  # PS3.5 8.1.1: of even length
    made["PixelData"].VR = "OB"
    return made


_EMPTY = (
    *("StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "StudyID"),
    *("PatientBirthDate", "PatientSex", "SeriesNumber", "PatientOrientation"),
    "Laterality",
)
"""Elements of type 2: they must be there, and no value is known."""


def _constant() -> Iterator[str]:
    """Yields the elements that are the same in every file."""
    elsewhere = {
        *("ImplementationVersionName", "CodeValue", "CodingSchemeDesignator", "CodeMeaning"),
        "ContributionDescription",
    }
    return (keyword for keyword in WORDS if keyword not in elsewhere)


def _equipment() -> Sequence:
    """Returns what made the image (PS3.3 C.12.1): (109100, DCM, "Synthesizing Equipment")."""
    purpose, equipment = Dataset(), Dataset()
    for keyword in ("CodeValue", "CodingSchemeDesignator", "CodeMeaning"):
        setattr(purpose, keyword, WORDS[keyword])
    for keyword in ("Manufacturer", "ContributionDescription"):
        setattr(equipment, keyword, WORDS[keyword])
    equipment.PurposeOfReferenceCodeSequence = Sequence([purpose])
    equipment.SoftwareVersions = version("medidd")
    return Sequence([equipment])


def _uid(digest: str, kind: str, number: int) -> str:
    """Returns a UID under the root for UUIDs."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, f'{digest} {kind} {number}').int}"
