"""Somebody else's file: every form reads alike, and none runs code or ends in a trace."""

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from invented_cohort import Made
from safetensors.torch import save_file
from torch import Tensor

from pipelines.foreign import files
from pipelines.foreign import release as archive
from pipelines.foreign.arrays import Scale, UnusableError
from pipelines.foreign.release import Found, content, read
from pipelines.run.errors import Exit, Stop
from pipelines.run.release_file import Release as Levels
from pipelines.run.release_file import read_release
from pipelines.run.store import Run

SIDE = 16
CLASSES = torch.tensor([0, 0, 1, 1])
AS_THEY_ARE = Scale()
PUBLISHED = Scale((0.4,), (0.25,))


def bytes_of_images() -> Tensor:
    """Images (4, 1, 16, 16) in 256 grays."""
    rng = torch.Generator().manual_seed(0)
    return torch.randint(256, (4, 1, SIDE, SIDE), generator=rng).to(torch.uint8)


GRAYS = bytes_of_images()
SHOWN = GRAYS.float() / 255
STANDARD = (SHOWN - 0.4) / 0.25
ONE_HOT = torch.nn.functional.one_hot(CLASSES, 2).float()


def opened(path: Path, how: Scale = AS_THEY_ARE) -> list[Found]:
    return read(path, content(path), how)


def npz(**arrays: Any) -> Callable[[Path], Path]:
    def written(folder: Path) -> Path:
        np.savez(folder / "set.npz", **arrays)
        return folder / "set.npz"

    return written


def pt(held: Any, name: str = "set.pt") -> Callable[[Path], Path]:
    def written(folder: Path) -> Path:
        torch.save(held, folder / name)
        return folder / name

    return written


def tensors(**named: Tensor) -> Callable[[Path], Path]:
    def written(folder: Path) -> Path:
        save_file(
            {name: one.contiguous() for name, one in named.items()}, folder / "set.safetensors"
        )
        return folder / "set.safetensors"

    return written


def medidd(white: int, dtype: torch.dtype) -> Callable[[Path], Path]:
    def written(folder: Path) -> Path:
        facts = {"classes": ["normal", "pneumonia"], "normalization": {"levels": white}}
        levels = (SHOWN * white).round().to(torch.int32).to(dtype)
        (folder / "set.safetensors").write_bytes(Levels(levels, ONE_HOT, facts).to_bytes())
        return folder / "set.safetensors"

    return written


def raw(name: str, data: bytes) -> Callable[[Path], Path]:
    def written(folder: Path) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return written


SMALL = GRAYS.numpy()
ACCURACY = np.float64(71.5)
FORMS: dict[str, tuple[Callable[[Path], Path], Scale]] = {
    "uint8": (npz(images=SMALL, labels=CLASSES.numpy()), AS_THEY_ARE),
    "no axis of channels": (npz(images=SMALL[:, 0], labels=CLASSES.numpy()), AS_THEY_ARE),
    "channels last": (npz(x=np.moveaxis(SMALL, 1, 3), y=CLASSES.numpy()), AS_THEY_ARE),
    "three equal channels": (npz(data=SMALL.repeat(3, 1), targets=CLASSES.numpy()), AS_THEY_ARE),
    "three channels last": (
        npz(x=np.moveaxis(SMALL.repeat(3, 1), 1, 3), y=CLASSES.numpy()),
        AS_THEY_ARE,
    ),
    "uint16": (npz(images=SMALL.astype(np.uint16) * 257, labels=CLASSES.numpy()), AS_THEY_ARE),
    "display values": (npz(images_syn=SHOWN, labels_syn=ONE_HOT.numpy()), AS_THEY_ARE),
    "doubles": (npz(images=SHOWN.double(), labels=CLASSES.double().numpy()), AS_THEY_ARE),
    "standardised": (npz(images=STANDARD, labels=CLASSES.numpy()[:, None]), PUBLISHED),
    "safetensors": (tensors(images=STANDARD, labels=CLASSES), PUBLISHED),
    "safetensors of medidd": (medidd(255, torch.uint8), AS_THEY_ARE),
    "safetensors of an earlier medidd": (medidd(4095, torch.uint16), AS_THEY_ARE),
    "pt of a dict": (pt({"images": STANDARD, "labels": CLASSES}), PUBLISHED),
    "pt of a pair": (pt((STANDARD, CLASSES), "set.pth"), PUBLISHED),
    "pt that learned": (pt([torch.nn.Parameter(STANDARD), ONE_HOT]), PUBLISHED),
    "pt of dc": (pt({"data": [[STANDARD, CLASSES]], "accs_all_exps": {"ConvNet": []}}), PUBLISHED),
    "pt of dc with accuracies": (
        pt({"data": [[STANDARD, CLASSES]], "accs_all_exps": {"ConvNet": [ACCURACY] * 3}}),
        PUBLISHED,
    ),
    "three constants": (
        npz(
            images=(SHOWN.repeat(1, 3, 1, 1) - torch.tensor([0.4, 0.5, 0.6]).view(3, 1, 1)) / 0.25,
            labels=CLASSES.numpy(),
        ),
        Scale((0.4, 0.5, 0.6), (0.25, 0.25, 0.25)),
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_set(form: str, tmp_path: Path) -> None:
    write, how = FORMS[form]
    (found,) = opened(write(tmp_path), how)
    release = found.release(2)
    closeness = 0.5 / 255 + 1e-6 if "medidd" in form else 1e-6
    torch.testing.assert_close(release.images, SHOWN, atol=closeness, rtol=0)
    assert release.images.dtype == torch.float32
    assert torch.equal(release.labels, ONE_HOT)
    assert "4 images of 16x16 px" in found.said


def test_medidds_own_release_is_read_to_the_last_bit(made: Made) -> None:
    (found,) = opened(made.path / "synthetic.safetensors")
    release = read_release(Run(made.path))
    assert torch.equal(found.release(2).images, release.display)
    assert torch.equal(found.release(2).labels, release.labels)
    assert found.classes == ("normal", "pneumonia")


def test_all_experiments_of_a_published_file_are_found(tmp_path: Path) -> None:
    several = {"data": [[SHOWN, CLASSES], [SHOWN.flip(0), CLASSES.flip(0)]]}
    first, second = opened(pt(several)(tmp_path))
    assert torch.equal(first.images, SHOWN)
    assert torch.equal(second.images, SHOWN.flip(0))
    assert torch.equal(second.labels, ONE_HOT.flip(0))


def test_names_and_patients_come_along(tmp_path: Path) -> None:
    (found,) = opened(
        npz(images=SMALL, labels=CLASSES, class_names=["a", "b"], patient_ids=list("wxyz"))(
            tmp_path
        )
    )
    assert (found.classes, found.patients) == (("a", "b"), ("w", "x", "y", "z"))


def test_a_set_need_not_show_every_class_if_its_labels_are_numbers(tmp_path: Path) -> None:
    (found,) = opened(npz(images=SMALL, labels=CLASSES)(tmp_path))
    assert torch.equal(found.release(3).labels, torch.nn.functional.one_hot(CLASSES, 3).float())
    (rows,) = opened(npz(images=SMALL, labels=ONE_HOT)(tmp_path))
    with pytest.raises(UnusableError, match="labels are of 2 classes, and the films show 3"):
        rows.release(3)


def test_free_labels_are_taken_as_they_stand_and_said_to_be(tmp_path: Path) -> None:
    free = torch.tensor([[2.0, -1.0], [0.3, 0.3], [0.0, 5.0], [0.1, 0.9]])
    (found,) = opened(npz(images=SMALL, labels=free)(tmp_path))
    assert torch.equal(found.release(2).labels, free)
    assert "do not sum to one" in found.said
    (soft,) = opened(npz(images=SMALL, labels=free.softmax(1))(tmp_path))
    assert "soft labels" in soft.said


def test_intensities_a_little_outside_are_kept(tmp_path: Path) -> None:
    beyond = STANDARD.clone()
    beyond[0, 0, 0, 0] = 4.0
    (found,) = opened(npz(images=beyond, labels=CLASSES)(tmp_path), PUBLISHED)
    assert found.images.max() == pytest.approx(1.4)


class Runs:
    """A pickle that writes a file when it is loaded."""

    def __init__(self, trace: str) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path(self.trace),))


def with_entry(data: bytes, old: str, change: Callable[[bytes], bytes], packed: int = 0) -> bytes:
    """An archive in which one entry is changed."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(out, "w", packed) as target:
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, change(content) if name.endswith(old) else content)
    return out.getvalue()


def saved(held: Any) -> bytes:
    out = io.BytesIO()
    torch.save(held, out)
    return out.getvalue()


def zipped(**arrays: Any) -> bytes:
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)
    return out.getvalue()


def twice_named() -> bytes:
    out = io.BytesIO(zipped(images=SMALL, labels=CLASSES))
    with zipfile.ZipFile(out, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("labels.npy", b"")
    return out.getvalue()


def header_of(shape: str) -> Callable[[bytes], bytes]:
    """Makes an array of bytes claim another shape, its header as long as before."""

    def changed(array: bytes) -> bytes:
        start = array.index(b"(")
        end = array.index(b")") + 1
        rest = array[end:]
        grown = len(shape) - (end - start)
        blanks = rest.index(b"\n") - grown
        return (
            array[:start]
            + shape.encode()
            + rest[: rest.index(b"}") + 1].ljust(blanks)
            + rest[rest.index(b"\n") :]
        )

    return changed


def claimed(data: bytes) -> bytes:
    """A pickle whose images claim to be sixteen times as many as are stored."""
    for true, false in ((b"M\x00\x04", b"M\x00\x40"), (b"(K\x04K\x01K\x10", b"(K\x40K\x01K\x10")):
        assert data.count(true) == 1
        data = data.replace(true, false)
    return data


WHOLE = saved({"images": SHOWN, "labels": CLASSES})
OBJECTS = np.array([{"a": 1}, None, 2, 3], dtype=object)
NAN = SHOWN.clone()
NAN[1, 0, 3, 3] = torch.nan
COLORS = torch.rand(4, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))

BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "another format": (raw("set.txt", b"x"), "unknown format; medidd reads .npz"),
    "a lone array": (raw("set.npy", b"x"), "unknown format"),
    "an empty npz": (raw("set.npz", b""), "damaged"),
    "an empty pt": (raw("set.pt", b""), "damaged"),
    "empty safetensors": (raw("set.safetensors", b""), "damaged, or not a safetensors file"),
    "a cut npz": (raw("set.npz", zipped(images=SMALL, labels=CLASSES)[:-40]), "damaged"),
    "a cut pt": (raw("set.pt", WHOLE[:-400]), "damaged"),
    "cut safetensors": (
        lambda folder: raw("set.safetensors", medidd(255, torch.uint8)(folder).read_bytes()[:-9])(
            folder
        ),
        "damaged",
    ),
    "an old pt": (
        lambda folder: raw("set.pt", _old_fashioned())(folder),
        "damaged, or in an old or another format",
    ),
    "objects in npz": (npz(images=SMALL, labels=OBJECTS), "Python objects, which are never loaded"),
    "an object in pt": (pt({"images": Path("x")}), "Python objects, which are never loaded"),
    "numpy in pt": (pt({"images": SMALL, "labels": CLASSES}), "save only tensors"),
    "a pickle alone": (raw("set.pt", pickle.dumps([1, 2])), "damaged"),
    "compressed pt": (
        raw("set.pt", with_entry(WHOLE, "none", bytes, zipfile.ZIP_DEFLATED)),
        "compressed entries",
    ),
    "two entries of one name": (
        lambda folder: raw("set.npz", twice_named())(folder),
        "two entries with one name",
    ),
    "a size that is not there": (
        raw("set.pt", with_entry(WHOLE, "data.pkl", claimed)),
        "damaged",
    ),
    "a shape that is not there": (
        raw(
            "set.npz",
            with_entry(
                zipped(images=SMALL, labels=CLASSES), "images.npy", header_of("(9999999999999,)")
            ),
        ),
        "damaged",
    ),
    "one number as many images": (
        pt({"images": torch.zeros(1).expand(20_000, 1, 64, 64), "labels": CLASSES}),
        "larger than the file",
    ),
    "sparse tensors": (pt({"images": SHOWN.to_sparse(), "labels": CLASSES}), "sparse"),
    "complex tensors": (pt({"images": SHOWN.to(torch.complex64), "labels": CLASSES}), "complex"),
    "other names": (npz(pictures=SMALL, labels=CLASSES), "name them images and labels, or x and y"),
    "images alone": (tensors(images=SHOWN), "no images and labels in it"),
    "a lone tensor": (pt(SHOWN), "no images and labels in it"),
    "words": (npz(images=SMALL, labels=np.array(list("abcd"))), "labels are <U1"),
    "no image": (npz(images=SMALL[:0], labels=CLASSES[:0]), "images of shape (0, 1, 16, 16)"),
    "flat images": (npz(images=SMALL.reshape(4, -1), labels=CLASSES), "images of shape (4, 256)"),
    "five axes": (npz(images=SMALL[None], labels=CLASSES), "images of shape (1, 4, 1, 16, 16)"),
    "oblong images": (npz(images=SMALL[..., :-1], labels=CLASSES), "images of 16x15 px"),
    "tiny images": (npz(images=SMALL[..., :8, :8], labels=CLASSES), "images of 8x8 px"),
    "five channels": (npz(images=SMALL.repeat(5, 1), labels=CLASSES), "images of 5 channels"),
    "colors": (npz(images=COLORS, labels=CLASSES), "color images, and films are gray"),
    "not a number": (npz(images=NAN, labels=CLASSES), "an intensity is not a finite number"),
    "no finite label": (npz(images=SMALL, labels=ONE_HOT / 0), "a label is not a finite number"),
    "truth values": (npz(images=SMALL > 9, labels=CLASSES), "intensities are bool"),
    "too few labels": (npz(images=SMALL, labels=CLASSES[:3]), "4 images and labels of shape (3,)"),
    "labels from -1": (npz(images=SMALL, labels=CLASSES - 1), "number the classes from 0"),
    "halved labels": (npz(images=SMALL, labels=CLASSES / 2), "number the classes from 0"),
    "vast labels": (npz(images=SMALL, labels=CLASSES * 10**9), "number the classes from 0"),
    "names of other classes": (
        npz(images=SMALL, labels=CLASSES, class_names=["a"]),
        "1 class_names, 2 classes; name each",
    ),
    "names in control characters": (
        npz(images=SMALL, labels=CLASSES, class_names=["a", "\x1b[2J"]),
        "class names cannot be printed",
    ),
    "patients of other films": (
        npz(images=SMALL, labels=CLASSES, patient_ids=["a"]),
        "1 patient_ids, 4 images; give one each",
    ),
}


def _old_fashioned() -> bytes:
    out = io.BytesIO()
    torch.save((SHOWN, CLASSES), out, _use_new_zipfile_serialization=False)
    return out.getvalue()


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_named_in_one_line_with_a_remedy(case: str, tmp_path: Path) -> None:
    write, said = BAD[case]
    path = write(tmp_path)
    with pytest.raises(Stop) as stop:
        opened(path)
    assert str(stop.value).startswith(f"{path}: ")
    assert said in str(stop.value)
    assert "\n" not in str(stop.value)
    assert stop.value.code is Exit.DATA


@pytest.mark.parametrize("name", ["set.npz", "set.pt", "set.pth", "set.safetensors"])
def test_no_file_runs_what_is_pickled_in_it(name: str, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    evil = pickle.dumps(Runs(str(trace)))
    traps = np.array([Runs(str(trace))] * 4, dtype=object)
    forged = {
        "set.npz": zipped(images=SMALL, labels=traps),
        "set.pt": saved({"images": Runs(str(trace)), "labels": CLASSES}),
        "set.pth": with_entry(WHOLE, "data.pkl", lambda _: evil),
        "set.safetensors": evil,
    }
    (tmp_path / name).write_bytes(forged[name])
    with pytest.raises(Stop):
        opened(tmp_path / name)
    assert not trace.exists()
    pickle.loads(evil)
    assert trace.exists(), "the trap must work, or its silence tells nothing"


def test_a_small_file_that_unpacks_to_much_is_refused_before_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (files, archive):
        monkeypatch.setattr(module, "LARGEST", 2**20)
    bomb = zipped(images=np.zeros((2**21,), np.uint8), labels=CLASSES)
    assert len(bomb) < 2**15
    with pytest.raises(Stop, match="unpacks to more than 1 MiB"):
        opened(raw("set.npz", bomb)(tmp_path))
    with pytest.raises(Stop, match="larger than 1 MiB"):
        opened(raw("set.npz", bytes(2**20 + 1))(tmp_path))


@pytest.mark.parametrize("name", ["set.npz", "set.pt", "set.safetensors"])
def test_a_file_damaged_anywhere_reads_or_is_refused(name: str, tmp_path: Path) -> None:
    written = {"set.npz": npz(images=SMALL, labels=CLASSES), "set.pt": pt((SHOWN, CLASSES))}
    path = written.get(name, tensors(images=SHOWN, labels=CLASSES))(tmp_path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(150):
        spoiled = bytearray(whole)
        # Where the structure is: the beginning and the end.
        for at in rng.integers(0, 700, 3):
            spoiled[at if rng.random() < 0.5 else -1 - at] = rng.integers(256)
        path.write_bytes(spoiled)
        try:
            opened(path)
        except Stop as stop:
            assert str(path) in str(stop)  # noqa: PT017 - either outcome is right


def test_floats_of_unknown_scale_are_refused_with_their_range(tmp_path: Path) -> None:
    for images in (STANDARD, GRAYS.float()):
        with pytest.raises(Stop) as stop:
            opened(npz(images=images, labels=CLASSES)(tmp_path))
        assert f"floats from {images.min():.3g} to {images.max():.3g}" in str(stop.value)
        assert "--mean and --std" in str(stop.value)
        assert stop.value.code is Exit.USAGE


def test_a_wrong_scale_is_refused(tmp_path: Path) -> None:
    path = npz(images=GRAYS.float(), labels=CLASSES)(tmp_path)
    with pytest.raises(Stop, match="of the intensities are display values") as stop:
        opened(path, PUBLISHED)
    assert stop.value.code is Exit.USAGE
    with pytest.raises(Stop, match="whose scale is known"):
        opened(npz(images=SMALL, labels=CLASSES)(tmp_path), PUBLISHED)
    with pytest.raises(Stop, match="1 channels, 3 of --mean"):
        opened(npz(images=SHOWN, labels=CLASSES)(tmp_path), Scale((0.4,) * 3, (0.2,) * 3))


@pytest.mark.parametrize(
    ("mean", "std"),
    [((0.5,), ()), ((), (0.5,)), ((0.5,), (0.0,)), ((np.nan,), (1.0,)), ((0.5,) * 2, (0.5,) * 2)],
)
def test_constants_that_are_none_are_refused(
    mean: tuple[float, ...], std: tuple[float, ...]
) -> None:
    with pytest.raises(UnusableError, match="--mean and --std go together"):
        Scale(mean, std)


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.npz"):
        with pytest.raises(Stop, match="no file"):
            content(path)


def test_facts_that_are_not_medidds_are_refused(tmp_path: Path) -> None:
    for said in ("{", "[]", json.dumps({"classes": 3})):
        save_file({"images": SHOWN}, tmp_path / "set.safetensors", {"medidd": said})
        with pytest.raises(Stop, match="damaged"):
            opened(tmp_path / "set.safetensors")
