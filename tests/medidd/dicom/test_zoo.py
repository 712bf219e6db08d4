"""Real and hard files from public collections, where they are at hand."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medidd.dicom.errors import Refused
from medidd.dicom.header.header import read
from medidd.dicom.header.radiograph import MODALITIES
from medidd.dicom.pixels.pixels import RadiographReader
from medidd.dicom.reading import Reading
from medidd.dicom.stored.decoding import stored_values

ZOO = Path(__file__).parents[3].parent / "shared" / "data" / "dicom-zoo"
MANIFEST = ZOO / "manifest.json"
FILES: list[dict[str, Any]] = json.loads(MANIFEST.read_text()) if MANIFEST.is_file() else []

ENDS: dict[str, tuple[str, ...]] = {
    "film": (
        "radiograph/RG1_UNCR.dcm",
        "radiograph/RG1_J2KR.dcm",
        "radiograph/RG1_J2KI.dcm",
        "radiograph/RG1_JLSN.dcm",
        "radiograph/RG2_J2KR.dcm",
        "radiograph/RG2_JPLL.dcm",
        "radiograph/RG2_JLSL.dcm",
        "radiograph/RG2_JPLY.dcm",
        "radiograph/RG2_JPLY_fixed.dcm",
        "radiograph/RG3_J2KR.dcm",
        "radiograph/RG3_J2KI.dcm",
        "radiograph/RG3_JPLL.dcm",
        "radiograph/RG3_JLSL.dcm",
        "radiograph/RG3_JPLY.dcm",
        "radiograph/RG3_RLE.dcm",
        "radiograph/966_fixed.dcm",
        "radiograph/NM_Kakadu44_SOTmarkerincons.dcm",
        "radiograph/CR-MONO1-10-chest",
        "radiograph/CR-ModalitySequenceLUT.dcm",
        "radiograph/dx_dog.dcm",
        "dicomdir/77654033/CR1/6154",
        "dicomdir/77654033/CR2/6247",
        "dicomdir/77654033/CR3/6278",
    ),
    "secondary_capture": (
        "radiograph/MG1_J2KI.dcm",
        "phi/cookie_image1.dcm",
    ),
    "sop_class_excluded": ("broken/genFile.dcm",),
    "modality_excluded": (
        "radiograph/XA1_J2KI.dcm",
        "radiograph/GH133_mammo.dcm",
        "radiograph/OutOfBoundsOverlay.dcm",
        "radiograph/RI6XDosiGap_rtimage.dcm",
        "broken/MR_truncated.dcm",
        "broken/badVR.dcm",
        "broken/JPEG2000-embedded-sequence-delimiter.dcm",
        "broken/JPEG-lossy_12bit.dcm",
        "broken/emri_j2k_too_short.dcm",
        "broken/bad_sequence.dcm",
        "broken/explicit_VR-UN.dcm",
        "broken/20-wrong-transfer-syntax.dcm",
        "broken/54-implicit-file-meta-info.dcm",
        "broken/OT-PAL-8-face.dcm",
        "broken/JPEGLossless_1s_1f_i_16_16_bad.dcm",
        "broken/CTImageStorage_bad_meta.dcm",
        "syntax/CT_4.53_spectral.dcm",
        "syntax/CT_4.55_progressive.dcm",
        "syntax/CT_4.57_jpegll.dcm",
        "syntax/CT_deflated.dcm",
        "syntax/CT_bigendian.dcm",
        "syntax/CT0012.fragmented_no_bot_jpeg_baseline.51.dcm",
        "syntax/CT0012.fragmented_no_bot_jpeg_ls.80.dcm",
        "syntax/CT0012.not_fragmented_no_bot_rle.dcm",
        "syntax/liver_deflate_frame.dcm",
        "syntax/liver_1bit.dcm",
        "syntax/image_dfl",
        "lut/mlut_18.dcm",
        "lut/vlut_04.dcm",
        "lut/MR-SIEMENS-DICOM-WithOverlays.dcm",
        "lut/parametric_map_float.dcm",
        "colour/SC_rgb_gdcm2k_uncompressed.dcm",
        "colour/SC_ybr_full_uncompressed.dcm",
        "colour/SC_rgb_32bit.dcm",
        "colour/JPGLosslessP14SV1_1s_1f_8b.dcm",
        "phi/US_GREYSCALE_IMAGE_burned_in.dcm",
        "phi/MR_replace_sequences.dcm",
    ),
    "pixels_invalid": ("radiograph/966.dcm",),
    "pixels_truncated": (
        "charset/chrJapMulti.dcm",
        "charset/chrJapMultiExplicitIR6.dcm",
        "charset/chrKoreanMulti.dcm",
    ),
    "no_image": (
        "broken/rtstruct_nometa.dcm",
        "broken/rtplan_truncated.dcm",
        "syntax/report_dfl",
        "syntax/wave_dfl",
    ),
    "dicomdir_ignored": ("dicomdir/DICOMDIR",),
    "not_dicom": (
        "broken/no_meta.dcm",
        "broken/ExplVR_BigEndNoMeta.dcm",
    ),
    "no_uid": (
        "broken/meta_missing_tsyntax.dcm",
        "broken/nested_priv_SQ.dcm",
        "broken/GH340_nometa_mr.dcm",
        "broken/multiframe_benchmark.dcm",
        "syntax/HTJ2KLossless_08_RGB.dcm",
    ),
    "header_error": ("broken/GH177_BigEndian_undefined_length.dcm",),
}
"""How each file ends: as a film, or for what reason it is left out."""

OTHERWISE = {
    "radiograph/RG2_JPLY.dcm": "film",  # imagecodecs does not mind the defect of its codestream
    "radiograph/RG3_JPLY.dcm": "film",
    "radiograph/MG1_J2KI.dcm": "secondary_capture",  # says so in SOP Class
}
"""Radiographs that end otherwise than the collection's own list expects, and why."""

EXTENDED = ("RG2_JPLY.dcm", "RG2_JPLY_fixed.dcm", "RG3_JPLY.dcm")  # JPEG Extended with 12 bits

pytestmark = pytest.mark.skipif(not FILES, reason="the collection of hard files is not here")


def end(name: str) -> str:
    if Path(name).name in EXTENDED and find_spec("imagecodecs") is None:
        return "codec_missing"
    return next(code for code, names in ENDS.items() if name in names)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file["file"])
def test_a_file_ends_as_a_film_or_for_one_reason(file: dict[str, Any]) -> None:
    reader = RadiographReader(32)
    code = end(file["file"])
    if code != "film":
        with pytest.raises(Refused, match=f"^{code}:"):
            reader.get_data(reader.read(ZOO / file["file"]))
        return
    pixels, about = reader.get_data(reader.read(ZOO / file["file"]))
    assert pixels.shape == (32, 32)
    assert 0 <= pixels.min() < pixels.max() <= 1
    # No radiograph here shows text; the collimator of RG1 is told in other units than pixels, and
    # eight pixels of RG3_JPLY end above the largest value of its 10 bits.
    name = Path(file["file"]).name
    odd = "shutter_ignored" if name.startswith("RG1_") else None
    odd = "codestream_conflict" if name == "RG3_JPLY.dcm" else odd
    assert about == {"warnings": (odd,) if odd else ()}
    if odd == "shutter_ignored":
        whole = RadiographReader(32, Reading(crop="none"))
        np.testing.assert_array_equal(pixels, whole.get_data(whole.read(ZOO / file["file"]))[0])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file["file"])
def test_a_file_ends_as_the_collection_expects(file: dict[str, Any]) -> None:
    """What it expects to be decoded and is no radiograph is left out for its modality."""
    ends = next(code for code, names in ENDS.items() if file["file"] in names)
    decodes = file["expect"] in ("decode", "force") and file["modality"] in MODALITIES
    if file["file"] in OTHERWISE:
        assert ends == OTHERWISE[file["file"]]
        assert decodes == (ends != "film")
    elif file["expect"] in ("decode", "force") and not decodes:
        assert ends == "modality_excluded" or file["modality"] is None
    else:
        assert (ends == "film") == decodes


@pytest.mark.skipif(find_spec("imagecodecs") is None, reason="imagecodecs is not installed")
def test_a_defect_that_a_decoder_does_not_mind_changes_no_pixel() -> None:
    names = ("RG2_JPLY.dcm", "RG2_JPLY_fixed.dcm")
    one, other = (stored_values(read(ZOO / "radiograph" / name, pixels=True)) for name in names)
    np.testing.assert_array_equal(one, other)


def test_lossless_copies_of_a_film_are_the_same_film() -> None:
    reader = RadiographReader(32)
    for name, syntaxes in {"RG2": ("JPLL", "JLSL"), "RG3": ("J2KR", "JPLL", "JLSL", "RLE")}.items():
        paths = [ZOO / "radiograph" / f"{name}_{syntax}.dcm" for syntax in syntaxes]
        first, *others = [reader.get_data(reader.read(path))[0] for path in paths]
        for other in others:
            np.testing.assert_array_equal(first, other)
