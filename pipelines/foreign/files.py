"""Opens a file that somebody else wrote; reads arrays from it, and nothing else.

An attacker may have written the file. No pickle is run: NumPy's are refused, and PyTorch's go
through its unpickler for weights, which builds tensors and calls nothing. Sizes are checked before
anything is unpacked. Every fault becomes the same kind of error.
"""

import io
import json
import warnings
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from tempfile import NamedTemporaryFile
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from pipelines.foreign.arrays import Array, UnusableError
from privacy.gates.layers import LARGEST

IMAGES = ("images", "x", "data", "images_syn", "image_syn")
LABELS = ("labels", "y", "targets", "labels_syn", "label_syn")
NAMES, PATIENTS = "class_names", "patient_ids"


@dataclass(frozen=True)
class Raw:
    """What a file holds.

    Attributes:
        images: intensities.
        labels: class numbers or rows.
        classes: names of the classes, if the file gives them; else empty.
        patients: patient of each image, if the file gives it; else empty.
        others: number of other entries, which medidd does not read.
        levels: intensity of white, if the file gives it.
    """

    images: Array
    labels: Array
    classes: tuple[str, ...] = ()
    patients: tuple[str, ...] = ()
    others: int = 0
    levels: int | None = None


def _npz(data: bytes) -> list[Raw]:
    _require_plain_zip(data, packed=True)
    try:
        archive = np.load(io.BytesIO(data), allow_pickle=False)
        wanted = {*IMAGES, *LABELS, NAMES, PATIENTS} & set(archive.files)
        arrays = {name: np.asarray(archive[name]) for name in sorted(wanted)}
    except Exception:  # a damaged entry can raise many errors
        raise UnusableError(
            "damaged, or holds Python objects, which are never loaded; save plain arrays with "
            "numpy.savez(FILE, images=..., labels=...)"
        ) from None
    words = {name: _words(arrays, name) for name in (NAMES, PATIENTS)}
    return [
        Raw(
            *_pair(arrays),
            words[NAMES],
            words[PATIENTS],
            others=len(set(archive.files) - wanted),
        )
    ]


def _words(arrays: Mapping[str, Array], name: str) -> tuple[str, ...]:
    found = arrays.get(name, np.array([], np.str_))
    if found.ndim != 1 or found.dtype.kind not in "Uiu":
        raise UnusableError(f"'{name}' must be a list of words; save it as an array of strings")
    return tuple(map(str, found.tolist()))


def _safetensors(data: bytes) -> list[Raw]:
    try:
        tensors = safetensors.torch.load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        said = header.get("__metadata__", {}).get("medidd")
        facts = None if said is None else json.loads(said)
        classes = () if facts is None else tuple(map(str, facts["classes"]))
        levels = None if facts is None else _levels(facts)
    except Exception:  # a damaged file can raise many errors
        raise UnusableError(
            "damaged, or not a safetensors file; save the tensors images and labels again"
        ) from None
    arrays = {name: _plain(tensor) for name, tensor in tensors.items()}
    others = len(set(arrays) - {*IMAGES, *LABELS})
    return [Raw(*_pair(arrays), classes, others=others, levels=levels)]


def _levels(facts: Mapping[str, Any]) -> int | None:
    """Returns the intensity of white that a release of medidd states; None if it states none."""
    levels = facts.get("normalization", {}).get("levels")
    if levels is not None and not 0 < int(levels) <= np.iinfo(np.uint16).max:
        raise ValueError("no such levels")
    return None if levels is None else int(levels)


class _Inert:
    """Replaces NumPy's scalars, in which the authors' files store accuracies; does nothing."""

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, _: object) -> None:
        pass


_SCALARS = [
    (_Inert, name)
    for name in ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "numpy.dtype")
]


def _torch(data: bytes) -> list[Raw]:
    _require_plain_zip(data, packed=False)
    try:
        with (
            warnings.catch_warnings(action="ignore"),
            torch.serialization.safe_globals([_Inert, *_SCALARS]),
            NamedTemporaryFile(suffix=".pt") as copy,
        ):
            copy.write(data)
            copy.flush()
            # With mmap no tensor can be larger than the file, whatever size its pickle claims.
            held = torch.load(copy.name, map_location="cpu", weights_only=True, mmap=True)
    except Exception:  # a damaged or forged file can raise many errors
        raise UnusableError(
            "damaged, or holds Python objects, which are never loaded; save only tensors: "
            "torch.save({'images': ..., 'labels': ...}, FILE)"
        ) from None
    if isinstance(held, Mapping) and _is_experiments(held.get("data")):
        return [Raw(*_pair(pair), others=len(held) - 1) for pair in held["data"]]
    others = {*held} - {*IMAGES, *LABELS} if isinstance(held, Mapping) else ()
    return [Raw(*_pair(held), others=len(others))]


def _is_experiments(held: Any) -> bool:
    """Recognises the list that the code of DC, DSA and DM saves: [[images, labels], ...]."""
    return (
        isinstance(held, Sequence)
        and bool(held)
        and all(isinstance(one, Sequence) and len(one) == 2 for one in held)
    )


def _pair(held: Any) -> tuple[Array, Array]:
    """Returns images and labels from a mapping or a pair."""
    if isinstance(held, Mapping):
        found = [next((held[n] for n in names if n in held), None) for names in (IMAGES, LABELS)]
    elif isinstance(held, Sequence) and len(held) == 2:
        found = list(held)
    else:
        found = []
    images, labels = (_plain(one) for one in found or (None, None))
    return images, labels


def _plain(held: Any) -> Array:
    """Returns a dense array that owns its memory.

    Raises:
        UnusableError: it is not such an array, or larger than any file that medidd reads.
    """
    if isinstance(held, np.ndarray):
        return held
    if not isinstance(held, Tensor):
        raise UnusableError(
            f"no images and labels in it; name them {IMAGES[0]} and {LABELS[0]}, or "
            f"{', '.join(f'{x} and {y}' for x, y in zip(IMAGES[1:], LABELS[1:], strict=True))}"
        )
    # A file can store one number for a tensor of any size, with strides of zero.
    if held.layout != torch.strided or held.is_quantized or held.is_meta or held.is_complex():
        raise UnusableError("sparse, quantised or complex tensors; save dense, real tensors")
    if held.numel() * held.element_size() > LARGEST:
        raise UnusableError("tensors that are larger than the file; save plain, dense tensors")
    if held.dtype.is_floating_point:
        held = held.float()
    return np.array(held.detach().resolve_neg().numpy())


def _require_plain_zip(data: bytes, *, packed: bool) -> None:
    """Checks that the data are an archive, and that it unpacks to nothing large or ambiguous.

    Args:
        data: the archive.
        packed: whether entries may be compressed.

    Raises:
        UnusableError: one of these is not true.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
    except Exception:  # zipfile raises more than its own errors
        raise UnusableError(
            "damaged, or in an old or another format; save it again with numpy.savez, or with "
            "torch.save of PyTorch 1.6 or later"
        ) from None
    if sum(entry.file_size for entry in entries) > LARGEST:
        raise UnusableError(
            f"unpacks to more than {LARGEST >> 20} MiB, too much for a distilled set; save only "
            "the images and labels"
        )
    if not packed and any(entry.compress_type for entry in entries):
        raise UnusableError("holds compressed entries, which PyTorch never writes; save it again")
    if len({entry.filename for entry in entries}) < len(entries):
        raise UnusableError("holds two entries with one name; save it again")


READERS: dict[str, Callable[[bytes], list[Raw]]] = {
    ".npz": _npz,
    ".safetensors": _safetensors,
    ".pt": _torch,
    ".pth": _torch,
}
