"""G3 refuses whatever is no image, no label and no text about them, however it is hidden."""

import base64
import gzip
import hashlib
import io
import json
import pickle
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch
from invented_radiographs import cohort, labelled
from PIL import Image, PngImagePlugin
from safetensors.torch import save

from privacy import Evidence, Finding, Policy, Release, Verdict
from privacy.gates.contents import contents

PATTERNS = ("synthetic.safetensors", "previews/*.png", "labels.csv", "README.md", "croissant.json")
SIDE = 16


def released() -> Release:
    levels = torch.randint(256, (4, 1, SIDE, SIDE), generator=torch.Generator().manual_seed(0))
    return labelled(levels.float() / 255)


def png(image: torch.Tensor, white: int = 65535, **text: str) -> bytes:
    info = PngImagePlugin.PngInfo()
    for key, value in text.items():
        info.add_text(key, value)
    kind = np.uint16 if white == 65535 else np.uint8
    samples = (image.numpy().squeeze() * white).round().astype(kind)
    stream = io.BytesIO()
    Image.fromarray(samples).save(stream, "PNG", pnginfo=info)
    return stream.getvalue()


def clean() -> dict[str, bytes]:
    release = released()
    levels = (release.images * 255).round().to(torch.uint8)
    return {
        "synthetic.safetensors": save({"images": levels, "labels": release.labels}, {"n": "4"}),
        "previews/class0_0.png": png(release.images[0]),
        "previews/class1_0.png": png(release.images[1], white=255),
        "labels.csv": b"file,healthy,ill\npreviews/class0_0.png,1.00,0.00\n",
        "README.md": "# Images\n\nGröße 16 px.\n".encode(),
    }


def judged(outgoing: Mapping[str, bytes], policy: Policy) -> Finding:
    rng = torch.Generator().manual_seed(0)
    release = released()
    films = [cohort(4, rng, side) for side in ("IN", "OUT")]
    films = [replace(one, images=one.images[..., :SIDE, :SIDE]) for one in films]
    case = Evidence(release, films[0], films[1], outgoing=outgoing)
    return contents(case, policy.model_copy(update={"outgoing": PATTERNS}), rng)


def tensors(note: str = "", **more: torch.Tensor) -> bytes:
    release = released()
    return save({"images": release.images, "labels": release.labels, **more}, {"note": note})


def handmade(header: object, body: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def place(begin: int, end: int, **more: object) -> dict[str, object]:
    return {"dtype": "U8", "shape": [end - begin], "data_offsets": [begin, end], **more}


def chunk(kind: bytes, inside: bytes) -> bytes:
    check = zlib.crc32(kind + inside)
    return struct.pack(">I", len(inside)) + kind + inside + struct.pack(">I", check)


def with_chunk(kind: bytes, inside: bytes) -> bytes:
    data = png(released().images[0])
    return data[:33] + chunk(kind, inside) + data[33:]


def longer_pixels(extra: bytes, *, inside: bool) -> bytes:
    """Returns a picture whose pixel stream goes on after the pixels, or is followed by more."""
    data = png(released().images[0])
    at = data.index(b"IDAT")
    length = struct.unpack(">I", data[at - 4 : at])[0]
    stream = data[at + 4 : at + 4 + length]
    longer = zlib.compress(zlib.decompress(stream) + extra) if inside else stream + extra
    return data[: at - 4] + chunk(b"IDAT", longer) + chunk(b"IEND", b"")


def archive() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        packed.writestr("a.txt", "x")
    return stream.getvalue()


def numpy_archive() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, x=np.zeros(9))
    return stream.getvalue()


def description(**changes: object) -> bytes:
    """Describes two files as a bundle does; ``changes`` are of the first file or of the whole."""
    files: list[dict[str, object]] = [
        {
            "@type": "cr:FileObject",
            "@id": name,
            "name": name,
            "contentUrl": name,
            "encodingFormat": "text/csv",
            "sha256": hashlib.sha256(clean()[name]).hexdigest(),
        }
        for name in (T, "labels.csv")
    ]
    of_file = {"contentUrl", "sha256", "content"}
    files[0] |= {name: value for name, value in changes.items() if name in of_file}
    whole = {"name": "x", "@context": {"cr": "x", "examples": {"@id": "x"}}, "distribution": files}
    return json.dumps(
        whole | {name: value for name, value in changes.items() if name not in of_file}
    ).encode()


def in_text(data: bytes) -> bytes:
    return b"see " + base64.b64encode(data.ljust(60, b" "))


S, P, T = "synthetic.safetensors", "previews/class0_0.png", "README.md"
C = "croissant.json"
LEAKS: dict[str, dict[str, bytes]] = {
    "a name of no release": {"Miller.txt": b"x"},
    "a name one folder deeper": {"previews/more/a.png": clean()[P]},
    "a name in a folder named as a picture": {"previews/a.png/Miller": b"x"},
    "a name without its folder": {"class0_0.png": clean()[P]},
    "a way out": {"previews/../../x.png": clean()[P]},
    "a way out within one folder": {"previews/..": clean()[P]},
    "an absolute name": {"/previews/a.png": clean()[P]},
    "a name for Windows": {"previews/..\\x.png": clean()[P]},
    "running means": {S: tensors(running_mean=torch.zeros(4))},
    "another tensor": {S: tensors(weights=torch.zeros(4))},
    "no labels": {S: save({"images": released().images})},
    "bytes after the tensors": {S: tensors() + b"\0"},
    "bytes before the tensors": {
        S: handmade({"images": place(4, 8), "labels": place(8, 9)}, bytes(9))
    },
    "bytes between the tensors": {
        S: handmade({"images": place(0, 4), "labels": place(5, 9)}, bytes(9))
    },
    "tensors that overlap": {
        S: handmade({"images": place(0, 4), "labels": place(2, 9)}, bytes(9))
    },
    "a tensor with more bytes than numbers": {
        S: handmade({"images": place(0, 8, shape=[4]), "labels": place(8, 9)}, bytes(9))
    },
    "a tensor with a note": {
        S: handmade({"images": place(0, 8, note="x"), "labels": place(8, 9)}, bytes(9))
    },
    "a name that is there twice": {
        S: handmade(
            b'{"labels":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},'
            b'"labels":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},'
            b'"images":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}',
            bytes(2),
        )
    },
    "no safetensors at all": {S: pickle.dumps({"images": [0.0] * 9})},
    "a text in a picture": {P: png(released().images[0], Comment="x")},
    "an unknown chunk": {P: with_chunk(b"prVt", b"x")},
    "the day it was made": {P: with_chunk(b"tIME", bytes([7, 232, 1, 31, 0, 0, 0]))},
    "bytes after a picture": {P: clean()[P] + b"x"},
    "a check sum that is none": {P: clean()[P][:-1] + b"\0"},
    "bytes after the pixels": {P: longer_pixels(b"x", inside=True)},
    "bytes after the pixel stream": {P: longer_pixels(b"x", inside=False)},
    "another picture": {P: png(torch.rand(1, SIDE, SIDE))},
    "the last bit of a picture": {P: png((released().images[0] + 1 / 65535).clip(0, 1))},
    "a cut picture": {P: clean()[P][:90]},
    "bytes that are no text": {T: b"\xff\xfe\x00"},
    "control characters": {T: b"a\x00b"},
    "running statistics named in a text": {T: b"bn1.running_var = 0.3"},
    "batches counted in a header": {S: tensors("num_batches_tracked")},
    "zip in a text": {T: in_text(archive())},
    "npz in a text": {T: in_text(numpy_archive())},
    "gzip in a text": {T: in_text(gzip.compress(bytes(99)))},
    "pickle in a text": {T: in_text(pickle.dumps({"w": [0.5] * 20}, protocol=4))},
    "old pickle in a text": {T: pickle.dumps({"w": [0.5] * 20}, protocol=0)},
    "network in a text": {T: in_text(b"\x08\x07\x12\x07pytorch\x1a\x032.1" + bytes(40))},
    "a file elsewhere": {C: description(contentUrl="https://hospital.example/films.zip")},
    "a file that does not leave": {C: description(contentUrl="films.zip")},
    "a file as it was before": {C: description(sha256="0" * 64)},
    "a file within a description": {C: description(content="x")},
    "records in a description": {C: description(recordSet=[{"name": "x", "data": [{"a": 1}]}])},
    "an unknown word in a description": {C: description(citation="x")},
    "a description that lists no files": {C: b'{"name": "x"}'},
    "a description that is a list": {C: b"[]"},
    "a description that says something twice": {C: b'{"name": "x", "name": "y"}'},
    "a description that is no JSON": {C: b"{"},
    "zip behind a picture": {P: clean()[P] + archive()},
}  # fmt: skip


def test_a_clean_release_holds_images_labels_and_texts(policy: Policy) -> None:
    finding = judged(clean(), policy)
    assert finding.verdict is Verdict.PASS, finding.details
    assert (finding.audit, finding.value, finding.details["files"]) == ("G3", 0, 5)


@pytest.mark.parametrize("kind", LEAKS)
def test_anything_else_fails(kind: str, policy: Policy) -> None:
    finding = judged(clean() | LEAKS[kind], policy)
    assert finding.verdict is Verdict.FAIL
    assert finding.value >= 1
    assert "Miller" not in str(finding)
    # Only the file that was changed is named, and by no word of its own.
    assert set(finding.details["found"]) <= {"another file", "previews/*.png", *LEAKS[kind]}


def test_a_description_of_files_that_leave_is_let_through(policy: Policy) -> None:
    finding = judged(clean() | {C: description(keywords=["synthetic"])}, policy)
    assert finding.verdict is Verdict.PASS, finding.details


def test_without_files_and_without_patterns_nothing_passes(policy: Policy) -> None:
    assert judged({}, policy).verdict is Verdict.INVALID
    rng = torch.Generator().manual_seed(0)
    films = [cohort(4, rng, side) for side in ("IN", "OUT")]
    release = labelled(torch.zeros(2, 1, 32, 32))
    nobody = Evidence(release, films[0], films[1], outgoing={"README.md": b"x"})
    assert contents(nobody, policy.model_copy(update={"outgoing": ()}), rng).verdict is Verdict.FAIL


@pytest.mark.parametrize("name", ["..", "previews/..", "previews/.", "previews/", "/a"])
def test_no_pattern_is_wide_enough_to_lead_elsewhere(name: str, policy: Policy) -> None:
    for text in (name, "previews/a"):
        outgoing = {text: b"x"}
        rng = torch.Generator().manual_seed(0)
        films = [cohort(4, rng, side) for side in ("IN", "OUT")]
        case = Evidence(labelled(torch.zeros(2, 1, 32, 32)), *films, outgoing=outgoing)
        wide = policy.model_copy(update={"outgoing": ("*", "*/*")})
        passed = contents(case, wide, rng).verdict is Verdict.PASS
        assert passed == (text == "previews/a")


def test_noise_and_digests_are_no_archives(policy: Policy) -> None:
    rng = np.random.default_rng(0)
    digests = "\n".join(f"{rng.bytes(32).hex()}  previews/{i}.png" for i in range(3000))
    notes = "(c) the authors\nNotes.\nVarious words\n(1) and (d) data\n"
    assert judged(clean() | {T: (notes + digests).encode()}, policy).verdict is Verdict.PASS
