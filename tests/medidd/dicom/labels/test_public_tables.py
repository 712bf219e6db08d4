"""The tables of public sets by their real headers, with invented rows."""

import csv
import gzip
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from medidd.dicom.errors import CohortError, Refused
from medidd.dicom.header.header import Header
from medidd.dicom.labels.labelling import Labelling
from medidd.dicom.labels.labels import read_labels
from medidd.dicom.source import Source

FILMS = 30

NIH = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
)
CHEXPERT = (
    "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Enlarged Cardiomediastinum,Cardiomegaly,"
    "Lung Opacity,Lung Lesion,Edema,Consolidation,Pneumonia,Atelectasis,Pneumothorax,"
    "Pleural Effusion,Pleural Other,Fracture,Support Devices"
)
MIMIC = (
    "subject_id,study_id,Atelectasis,Cardiomegaly,Consolidation,Edema,Enlarged Cardiomediastinum,"
    "Fracture,Lung Lesion,Lung Opacity,No Finding,Pleural Effusion,Pleural Other,Pneumonia,"
    "Pneumothorax,Support Devices"
)
MIMIC_SPLIT = "dicom_id,study_id,subject_id,split"
RSNA = "patientId,x,y,width,height,Target"
RSNA_CLASSES = "patientId,class"
VINDR = (
    "image_id,rad_id,Aortic enlargement,Atelectasis,Calcification,Cardiomegaly,Clavicle fracture,"
    "Consolidation,Edema,Emphysema,Enlarged PA,ILD,Infiltration,Lung Opacity,Lung cavity,Lung cyst,"
    "Mediastinal shift,Nodule/Mass,Pleural effusion,Pleural thickening,Pneumothorax,"
    "Pulmonary fibrosis,Rib fracture,Other lesion,COPD,Lung tumor,Pneumonia,Tuberculosis,"
    "Other diseases,No finding"
)
VINDR_BOXES = "image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max"
PADCHEST = (
    ",ImageID,ImageDir,StudyDate_DICOM,StudyID,PatientID,PatientBirth,PatientSex_DICOM,"
    "ViewPosition_DICOM,Projection,MethodProjection,Pediatric,Modality_DICOM,Manufacturer_DICOM,"
    "PhotometricInterpretation_DICOM,PixelRepresentation_DICOM,PixelAspectRatio_DICOM,"
    "SpatialResolution_DICOM,BitsStored_DICOM,WindowCenter_DICOM,WindowWidth_DICOM,Rows_DICOM,"
    "Columns_DICOM,XRayTubeCurrent_DICOM,Exposure_DICOM,ExposureInuAs_DICOM,ExposureTime,"
    "RelativeXRayExposure_DICOM,ReportID,Report,MethodLabel,Labels,Localizations,"
    "LabelsLocalizationsBySentence,labelCUIS,LocalizationsCUIS"
)
SIIM = "ImageId, EncodedPixels"


def table(path: Path, header: str, rows: Iterable[Sequence[object]]) -> Path:
    """Writes a table; rows are padded with empty cells to the width of the header."""
    names = header.split(",")
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        for row in rows:
            writer.writerow([*row, *[""] * (len(names) - len(row))])
    return path


def cells(header: str, **known: object) -> list[object]:
    """A row of a wide table by the plain names of its columns."""
    plain = ["".join(filter(str.isalnum, name)) for name in header.split(",")]
    assert known.keys() <= set(plain)
    return [known.get(name, "") for name in plain]


def told(
    root: Path, how: Labelling, films: Iterable[tuple[str, dict[str, str]]]
) -> Counter[tuple[str, str]]:
    """How many films get which label and split, or which reason code."""
    labels = read_labels(root, how)
    seen: Counter[tuple[str, str]] = Counter()
    for name, links in films:
        try:
            seen[labels.of(Header(Source(root / name), links, "", frozenset()))] += 1
        except Refused as refusal:
            seen[refusal.code, ""] += 1
    return seen


def test_nih(tmp_path: Path) -> None:
    findings = ("No Finding", "Mass|Nodule", "Mass")
    rows = [
        (f"{n // 3:08}_{n % 3:03}.png", findings[n % 3], n % 3, n // 3, 58, "M", "PA", 2682, 2749)
        for n in range(FILMS)
    ]
    found = table(tmp_path / "Data_Entry_2017_v2020.csv", NIH, rows)
    films = [
        (f"images_001/{n // 3:08}_{n % 3:03}.dcm", {"PatientID": f"{n // 3}"}) for n in range(FILMS)
    ]
    assert told(tmp_path, Labelling(found, target="Mass"), films) == {
        ("Mass", ""): 20,
        ("not Mass", ""): 10,
    }
    assert told(tmp_path, Labelling(found, target="no finding"), films)["no finding", ""] == 10


@pytest.mark.parametrize(
    ("top", "blank", "counts"),
    [
        ("train", "drop", {("Edema", ""): 10, ("not Edema", ""): 5, ("label_missing", ""): 15}),
        ("CheXpert-v1.0-small/train", "negative", {("Edema", ""): 10, ("not Edema", ""): 20}),
        ("CheXpert-v1.0/train", "positive", {("Edema", ""): 25, ("not Edema", ""): 5}),
        (".", "negative", {("Edema", ""): 10, ("not Edema", ""): 20}),
    ],
)
def test_chexpert(tmp_path: Path, top: str, blank: str, counts: dict[tuple[str, str], int]) -> None:
    said = ("1.0", "", "0.0", "", "1.0", "")
    rows = [
        cells(
            CHEXPERT,
            Path=f"CheXpert-v1.0/train/patient{n:05}/study1/view1_frontal.jpg",
            Sex="Female",
            Edema=said[n % 6],
        )
        for n in range(FILMS)
    ]
    found = table(tmp_path / "train.csv", CHEXPERT, rows)
    names = [f"{top}/patient{n:05}/study1/view1_frontal.dcm" for n in range(FILMS)]
    root = tmp_path / "films"
    for name in names:
        (root / name).parent.mkdir(parents=True)
    how = Labelling(found, target="Edema", blank=blank)  # type: ignore[arg-type]
    assert told(root, how, [(name, {}) for name in names]) == counts
    stranger = f"{top}/patient99999/study1/view1_frontal.dcm"
    assert told(root, how, [(stranger, {})]) == {("label_missing", ""): 1}


def test_mimic_cxr(tmp_path: Path) -> None:
    rows = [
        cells(MIMIC, subjectid=10_000_000 + n // 2, studyid=50_000_000 + n, Pneumonia=f"{n % 2}.0")
        for n in range(FILMS)
    ]
    found = table(tmp_path / "mimic-cxr-2.0.0-chexpert.csv", MIMIC, rows)
    split = [
        (
            f"{n:08x}-{n:08x}",
            50_000_000 + n,
            10_000_000 + n // 2,
            ("train", "validate", "test")[n % 3],
        )
        for n in range(FILMS - 1)
    ]
    second = table(tmp_path / "split.csv", MIMIC_SPLIT, split)
    packed = tmp_path / "mimic-cxr-2.0.0-split.csv.gz"
    packed.write_bytes(gzip.compress(second.read_bytes()))
    films = [
        (
            f"files/p10/p{10_000_000 + n // 2}/s{50_000_000 + n}/{n:08x}-{n:08x}.dcm",
            {"StudyID": f"{50_000_000 + n}", "PatientID": f"{10_000_000 + n // 2}"},
        )
        for n in range(FILMS)
    ]
    seen = told(tmp_path, Labelling(found, target="Pneumonia", splits=packed), films)
    assert seen["split_missing", ""] == 1
    assert {split for _, split in seen} == {"train", "val", "test", ""}
    assert sum(n for (label, _), n in seen.items() if label == "not Pneumonia") == 15
    how = Labelling(found, target="Pneumonia")
    assert told(tmp_path, how, films)["Pneumonia", ""] == 15
    assert told(tmp_path, how, [(name, {}) for name, _ in films])["Pneumonia", ""] == 15
    another = [(name, {"StudyID": "1"}) for name, _ in films]
    assert told(tmp_path, how, another) == {("label_missing", ""): FILMS}


def test_rsna(tmp_path: Path) -> None:
    rows: list[tuple[object, ...]] = []
    for n in range(FILMS):
        box = (f"{n:08x}-aaaa", 264.0, 152.0, 213.0, 379.0, 1)
        rows += [box, box] if n % 3 == 0 else [(f"{n:08x}-aaaa", "", "", "", "", 0)]
    found = table(tmp_path / "stage_2_train_labels.csv", RSNA, rows)
    films = [(f"{n:08x}-aaaa.dcm", {"PatientID": f"{n:08x}-aaaa"}) for n in range(FILMS)]
    assert told(tmp_path, Labelling(found, target="Target"), films) == {
        ("Target", ""): 10,
        ("not Target", ""): 20,
    }
    words = ("Lung Opacity", "Normal", "No Lung Opacity / Not Normal")
    classes = [
        (f"{n:08x}-aaaa", words[n % 3]) for n in range(FILMS) for _ in range(1 + (n % 3 == 0))
    ]
    second = table(tmp_path / "stage_2_detailed_class_info.csv", RSNA_CLASSES, classes)
    assert told(tmp_path, Labelling(second), films) == {(word, ""): 10 for word in words}


@pytest.mark.parametrize(("readers", "seen"), [("majority", 20), ("any", 30), ("all", 10)])
def test_vindr(tmp_path: Path, readers: str, seen: int) -> None:
    # Of three readers, one, two or all three see a large heart.
    rows = [
        cells(VINDR, imageid=f"{n:032x}", radid=f"R{reader}", Cardiomegaly=int(reader <= n % 3))
        for n in range(FILMS)
        for reader in range(3)
    ]
    boxes = [
        (f"{n:032x}", name, 3, f"R{reader}")
        for n in range(FILMS)
        for reader in range(3)
        for name in (("Cardiomegaly", "Nodule/Mass") if reader <= n % 3 else ("No finding",))
    ]
    films = [(f"train/{n:032x}.dicom", {}) for n in range(FILMS)]
    for found in (
        table(tmp_path / "image_labels_train.csv", VINDR, rows),
        table(tmp_path / "train.csv", VINDR_BOXES, boxes),
    ):
        how = Labelling(found, target="Cardiomegaly", readers=readers)  # type: ignore[arg-type]
        counted = told(tmp_path, how, films)
        assert counted["Cardiomegaly", ""] == seen
        assert counted["not Cardiomegaly", ""] == FILMS - seen
        with pytest.raises(CohortError, match=r"contradicts itself .* --readers"):
            read_labels(tmp_path, Labelling(found, target="Cardiomegaly"))


def test_padchest(tmp_path: Path) -> None:
    lists = (
        "['normal']",
        "['pulmonary fibrosis', 'chronic changes']",
        "[]",
        "[' chronic changes']",
    )
    rows = [
        cells(
            PADCHEST,
            ImageID=f"{n}_abc.png",
            StudyID=f"{n // 2}",
            PatientID=f"{n // 2}",
            Report="fibrosis pulmonar , cambios",
            Labels=lists[n % 4],
            LabelsLocalizationsBySentence="['pulmonary fibrosis', 'loc basal']",
        )
        for n in range(FILMS + 2)
    ]
    found = table(tmp_path / "PADCHEST.csv", PADCHEST, rows)
    films = [(f"{n % 5}/{n}_abc.dcm", {"PatientID": f"{n // 2}"}) for n in range(FILMS + 2)]
    how = Labelling(found, target="pulmonary fibrosis")
    assert told(tmp_path, how, films) == {
        ("pulmonary fibrosis", ""): 8,
        ("not pulmonary fibrosis", ""): 16,
        ("label_missing", ""): 8,
    }
    how = Labelling(found, target="chronic changes", blank="negative")
    assert told(tmp_path, how, films)["not chronic changes", ""] == 16


def test_siim(tmp_path: Path) -> None:
    uids = [f"1.2.276.0.7230010.3.1.4.8323329.{n}" for n in range(FILMS)]
    rows = [
        (one, mask)
        for n, one in enumerate(uids)
        for mask in (("557374 2 1015 8", "1 2 3 4") if n % 3 == 0 else ("-1",))
    ]
    found = table(tmp_path / "train-rle.csv", SIIM, rows)
    for films in (
        [(f"dicom-images-train/{n}/{one}.dcm", {}) for n, one in enumerate(uids)],
        [(f"{n}.dcm", {"SOPInstanceUID": one}) for n, one in enumerate(uids)],
    ):
        assert told(tmp_path, Labelling(found, target="EncodedPixels"), films) == {
            ("EncodedPixels", ""): 10,
            ("not EncodedPixels", ""): 20,
        }
