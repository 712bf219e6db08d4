"""What prepare.py of a bundle leaves out, and how it says so; alone, where medidd is not."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from film_variants import (
    DEEP,
    FLAT,
    compressed,
    frames,
    having,
    sample,
    saved,
    short,
    stores,
    written,
)
from pydicom import Dataset, uid
from recipient import command, how, imported, require_equal, unpacked
from safetensors import safe_open

from medidd.dicom.header.radiograph import _OTHER_IMAGES
from medidd.dicom.pixels.film import decoded
from medidd.dicom.reading import Reading
from medidd.dicom.refusals import Refusal
from medidd.dicom.source import Source


@pytest.fixture(scope="module")
def prepare() -> Iterator[Any]:
    """prepare.py, imported as a recipient imports it."""
    with imported() as module:
        yield module


VIEWS: dict[str, tuple[dict[str, str], tuple[str, ...], bool]] = {
    "PA": ({"ViewPosition": "PA"}, ("PA",), True),
    "AP if PA": ({"ViewPosition": "AP"}, ("PA",), False),
    "left lateral": ({"ViewPosition": "LL"}, ("LATERAL",), True),
    "either lateral": ({"ViewPosition": "LATERAL"}, ("LL", "RL"), True),
    "lateral if left": ({"ViewPosition": "LATERAL"}, ("LL",), False),
    "frontal": ({"ViewPosition": "FRONTAL"}, ("AP", "FRONTAL"), True),
    "none": ({"ViewPosition": ""}, ("PA",), False),
    "code": ({"CodeValue": "272479007"}, ("PA",), True),
    "other code": ({"CodeValue": "399348003"}, ("PA",), False),
    "unknown code": ({"CodeValue": "1"}, ("PA",), False),
}


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_is_used_if_medidd_uses_it(prepare: Any, name: str, tmp_path: Path) -> None:
    elements, wanted, used = VIEWS[name]
    film = having(ViewPosition=elements.get("ViewPosition", ""))
    for keyword in ("SeriesDescription", "ProtocolName"):
        if keyword in film:
            del film[keyword]
    if "CodeValue" in elements:
        item = Dataset()
        item.CodeValue = elements["CodeValue"]
        film.ViewCodeSequence = [item]
    path, reading = written(film, tmp_path / "film.dcm"), Reading(views=wanted)
    if used:
        require_equal(prepare, path, reading, 16)
        return
    assert isinstance(decoded(Source(path), 16, reading), Refusal)
    with pytest.raises(prepare.Refused, match=rf"film\.dcm: .*only {', '.join(wanted)} may be"):
        prepare.prepared(path, how(reading, 16))


def text(name: str, content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


def film_with(**elements: Any) -> Callable[[Path], Path]:
    return lambda folder: written(having(**elements), folder / "film.dcm")


def cut(make: Callable[[Path], Path], share: float = 0.5) -> Callable[[Path], Path]:
    def damage(folder: Path) -> Path:
        path = make(folder)
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])
        return path

    return damage


def flat(folder: Path) -> Path:
    film = sample()
    return written(stores(film, np.full((9, 9), 7, np.uint16)), folder / "film.dcm")


CAPTURE = {"SOPClassUID": uid.SecondaryCaptureImageStorage}
RAW = {"SOPClassUID": uid.DigitalXRayImageStorageForProcessing}
BAD: dict[str, tuple[Callable[[Path], Path], Reading, str]] = {
    "no file": (lambda folder: folder / "gone.dcm", Reading(), "no file"),
    "text": (text("labels.csv", b"a,b\n"), Reading(), "neither DICOM nor PNG"),
    "nothing": (text("empty", b""), Reading(), "neither DICOM nor PNG"),
    "CT": (film_with(SOPClassUID=uid.CTImageStorage), Reading(), "CT Image Storage"),
    "mammogram": (film_with(Modality="MG"), Reading(), "Modality is MG"),
    "raw": (film_with(**RAW), Reading(), "raw detector data"),
    "capture": (film_with(**CAPTURE), Reading(), "a screenshot or scanned film"),
    "capture of a CT": (
        film_with(Modality="CT", **CAPTURE),
        Reading(accept=("secondary-capture",)),
        "Modality is CT",
    ),
    "scan of a paper": (
        film_with(ConversionType="SD", **CAPTURE),
        Reading(accept=("secondary-capture",)),
        "a screenshot or scanned film",
    ),
    "text in the pixels": (film_with(BurnedInAnnotation="YES"), Reading(), "burned into"),
    "color": (film_with(PhotometricInterpretation="RGB"), Reading(), "not gray"),
    "frames": (lambda folder: written(frames(), folder / "a.dcm"), Reading(), "more than one fr"),
    "no bits": (film_with(BitsStored=None), Reading(), "lacks BitsStored"),
    "cut": (cut(film_with()), Reading(), "fewer pixels"),
    "one value": (flat, Reading(), "every pixel has the same value"),
    "slope is a word": (film_with(RescaleSlope="1e400"), Reading(), "overflow"),
    "short table": (film_with(VOILUTSequence=[short()]), Reading(), "shorter than"),
    "cut picture": (cut(saved(DEEP, "a.png")), Reading(), "cannot be decoded"),
    "color picture": (
        saved(np.stack([FLAT, FLAT, 255 - FLAT], -1), "a.png"),
        Reading(files="pictures"),
        "a color picture",
    ),
    "one bit": (saved(FLAT > 99, "a.png"), Reading(files="pictures"), "8 or 16 bits"),
    "32 bits": (saved(DEEP.astype(np.int32), "a.tif"), Reading(files="pictures"), "8 or 16"),
    "picture without a view": (saved(DEEP, "a.png"), Reading(views=("PA",)), "names no view"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_used_is_one_line_with_its_name(
    prepare: Any, name: str, tmp_path: Path
) -> None:
    make, reading, said = BAD[name]
    path = make(tmp_path)
    if path.suffix not in (".png", ".tif") or reading.files == "pictures":
        assert isinstance(decoded(Source(path), 16, reading), Refusal)
    with pytest.raises(prepare.Refused) as refused:
        prepare.prepared(path, how(reading, 16))
    line = str(refused.value)
    assert line.startswith(f"{path}: ")
    assert said in line
    assert "\n" not in line


def test_accepted_captures_are_used(prepare: Any, tmp_path: Path) -> None:
    path = film_with(**CAPTURE)(tmp_path)
    require_equal(prepare, path, Reading(accept=("secondary-capture",)), 16)


def test_it_knows_the_kinds_of_images_that_medidd_knows(prepare: Any) -> None:
    import radiograph

    assert radiograph.OTHERS == _OTHER_IMAGES
    assert radiograph.Refused is prepare.Refused


def test_text_that_the_sender_painted_over_stays(prepare: Any, tmp_path: Path) -> None:
    path = written(sample(), tmp_path / "film.dcm")
    masked, kept = (
        prepare.prepared(path, how(Reading(burned_in=of), 32)) for of in ("mask", "keep")
    )
    assert torch.equal(masked, kept)
    assert (
        "leaves it"
        in json.loads((unpacked(tmp_path / "b", Reading(), 8) / "preparation.json").read_text())[
            "meanings"
        ]["burned_in"]
    )


def test_a_contract_of_another_version_is_not_followed(prepare: Any, tmp_path: Path) -> None:
    path = tmp_path / "preparation.json"
    for content in (
        '{"version": 2}',
        '{"version": 1, "patches": {}}',
        '{"version": 3}',
        "{}",
        "no",
        None,
    ):
        if content is None:
            path.unlink()
        else:
            path.write_text(content)
        with pytest.raises(prepare.Refused, match=r"preparation\.json: "):
            prepare.contract(path)


def run(*arguments: Any, **options: Any) -> subprocess.CompletedProcess[str]:
    line = command(*arguments, **options)
    return subprocess.run(line, capture_output=True, text=True, check=False)


def test_a_folder_becomes_one_file_without_medidd(prepare: Any, tmp_path: Path) -> None:
    bundle, folder = unpacked(tmp_path / "bundle", Reading(), 24), tmp_path / "films"
    (folder / "deep").mkdir(parents=True)
    one = written(having(WindowCenter=1800, WindowWidth=2500), folder / "deep" / "b.dcm")
    two = saved(DEEP, "a.png")(folder)
    text("labels.csv", b"a,b\n")(folder)
    ended = run(bundle, folder, "--to", tmp_path / "films.safetensors")
    assert (ended.returncode, ended.stdout) == (0, "")
    assert ended.stderr.splitlines() == [
        f"left out: {folder / 'labels.csv'}: neither DICOM nor PNG, JPEG or TIFF; unpack what is "
        "packed"
    ]
    with safe_open(tmp_path / "films.safetensors", "pt") as file:
        found = file.get_tensor("films")
        assert json.loads(file.metadata()["names"]) == ["a.png", "deep/b.dcm"]
    wanted = [prepare.prepared(path, how(Reading(), 24)) for path in (two, one)]
    assert torch.equal(found, torch.stack(wanted))
    tensor, names = prepare.films([one, str(two)], how(Reading(), 24))
    assert names == [str(one), str(two)]
    assert torch.equal(tensor, torch.stack(wanted[::-1]))


def test_a_folder_without_a_film_is_a_failure(tmp_path: Path) -> None:
    bundle = unpacked(tmp_path / "bundle", Reading(), 24)
    text("a.txt", b"words")(tmp_path)
    ended = run(bundle, tmp_path, "--to", tmp_path / "none.safetensors")
    assert ended.returncode == 1
    assert f"left out: {tmp_path / 'a.txt'}: neither" in ended.stderr
    assert ended.stderr.splitlines()[-1] == f"{tmp_path}: no film that can be used"
    assert not (tmp_path / "none.safetensors").exists()
    ended = run(bundle, tmp_path / "nowhere")
    assert (ended.returncode, ended.stderr) == (1, f"{tmp_path / 'nowhere'}: no such folder\n")


def test_pictures_need_no_pydicom_and_dicom_names_it(tmp_path: Path) -> None:
    bundle, folder = unpacked(tmp_path / "bundle", Reading(), 24), tmp_path / "films"
    folder.mkdir()
    saved(DEEP, "a.png")(folder)
    film = written(sample(), folder / "b.dcm")
    ended = run(bundle, folder, "--to", tmp_path / "to.safetensors", missing=("pydicom",))
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == f"left out: {film}: a DICOM file; pip install 'pydicom>=3'\n"


@pytest.mark.parametrize(
    ("syntax", "missing", "package"),
    [
        (uid.JPEGLSLossless, ("jpeg_ls", "gdcm", "_gdcm"), "pyjpegls"),
        (uid.JPEGLosslessSV1, ("imagecodecs", "gdcm", "_gdcm"), "imagecodecs"),
    ],
)
def test_a_decoder_that_is_missing_is_named(
    syntax: uid.UID, missing: tuple[str, ...], package: str, tmp_path: Path
) -> None:
    bundle, folder = unpacked(tmp_path / "bundle", Reading(), 24), tmp_path / "films"
    folder.mkdir()
    written(compressed(syntax), folder / "a.dcm")
    ended = run(bundle, folder, missing=missing)
    assert ended.returncode == 1
    assert f"{syntax.name} is not decoded here; pip install {package}" in ended.stderr
