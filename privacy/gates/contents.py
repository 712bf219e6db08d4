"""G3: does anything leave except images, labels and texts about them?

The attacker reads every file to its last byte. Anything in addition to the images was never
audited. A network keeps running means of the patients' films. A pickle keeps anything, and can run
code. Nobody sees bytes after the end of a picture. A picture must show an image of the release,
because the other audits look only at these. The release file describes itself; that text must be
the one that follows from how it was made, to the last letter.
"""

import json
import pickletools
import re
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatchcase

import numpy as np
from numpy.typing import NDArray
from torch import Generator

from privacy.evidence import Evidence
from privacy.finding import Finding, Verdict
from privacy.gates.croissant import require_description
from privacy.gates.formats import SUFFIX, HiddenError, description, picture, tensors
from privacy.gates.layers import UnreadableError, layers
from privacy.gates.secondary_capture import BITS, capture
from privacy.policy import Policy
from privacy.release import Release

CROISSANT = "croissant.json"

_STATISTICS = re.compile(rb"running_mean|running_var|num_batches_tracked")
_ARCHIVE = re.compile(
    rb"PK\x03\x04[\x0a\x14\x2d]\x00"  # zip, and with it npz and pt
    rb"|\x93NUMPY|\x89HDF\r\n\x1a\n|7z\xbc\xaf\x27\x1c|\xfd7zXZ\x00|Rar!\x1a\x07"
    rb"|BZh[1-9]1AY&SY|SQLite format 3\x00"
)
# In a large image three bytes occur by chance, but hardly at its very beginning.
_AT_START = re.compile(rb"\x1f\x8b\x08|\x08[\x03-\x14]\x12[\x00-\x20][\x20-\x7e]")
_NO_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def contents(evidence: Evidence, policy: Policy, rng: Generator) -> Finding:  # noqa: ARG001
    """Opens every outgoing file; the finding names files only by the policy's patterns."""
    found: dict[str, Counter[str]] = {}
    for name, data in sorted(evidence.outgoing.items()):
        pattern = _pattern(name, policy.outgoing)
        faults = list(_faults(name, data, evidence))
        if pattern is None:
            faults.insert(0, "not a file that belongs to a release")
        if faults:
            found.setdefault(pattern or "another file", Counter()).update(faults)
    total = sum(sum(faults.values()) for faults in found.values())
    kinds = sorted({fault for faults in found.values() for fault in faults})
    if not evidence.outgoing:
        verdict, text = Verdict.INVALID, "There are no outgoing files."
    elif total:
        verdict = Verdict.FAIL
        text = f"The outgoing files hold more than images, labels and texts: {'; '.join(kinds)}."
    else:
        verdict = Verdict.PASS
        text = (
            f"The {len(evidence.outgoing)} outgoing files hold images, labels and texts, and no "
            "weights or running statistics of a network."
        )
    return Finding.exact(
        audit="G3",
        name="Nothing but images, labels and texts",
        verdict=verdict,
        value=float(total),
        limit=0.0,
        text=text,
        details={
            "files": len(evidence.outgoing),
            "found": {name: dict(faults) for name, faults in found.items()},
        },
    )


def _pattern(name: str, patterns: tuple[str, ...]) -> str | None:
    """Returns the pattern of a file's name; compares folder by folder, so none leads elsewhere."""
    parts = name.split("/")
    if "\\" in name or any(part in ("", ".", "..") for part in parts):
        return None
    for pattern in patterns:
        wanted = pattern.split("/")
        if len(wanted) == len(parts) and all(map(fnmatchcase, parts, wanted)):
            return pattern
    return None


def _faults(name: str, data: bytes, evidence: Evidence) -> Iterator[str]:
    """Yields what a file holds that it should not."""
    try:
        if name.lower().endswith(SUFFIX):
            tensors(data)
            may = evidence.declared
            if may is not None and description(data) != json.dumps(may, sort_keys=True):
                yield "a description that does not follow from how the release was made"
        elif name.lower().endswith(".png"):
            samples = picture(data)
            # Only two bit depths are allowed; a black picture is the same in both.
            white = 255 if samples.ndim == 3 or data[24] == 8 else 65535
            if not _shown(samples, white, evidence.release):
                yield "a picture that is not of the release"
        elif name.lower().endswith(".dcm"):
            if not _shown(capture(data, evidence.own), 2**BITS - 1, evidence.release):
                yield "a picture that is not of the release"
        elif _NO_TEXT.search(data.decode()):
            yield "bytes that are no text"
        elif name == CROISSANT:
            require_description(data, evidence.outgoing)
    except HiddenError as fault:
        yield str(fault)
    except UnicodeDecodeError:
        yield "bytes that are no text"
    try:
        for layer in layers(data):
            if _STATISTICS.search(layer):
                yield "running statistics of a network"
            if _ARCHIVE.search(layer) or _AT_START.match(layer) or _is_pickle(layer):
                yield "an archive, a network or a pickled object"
    except UnreadableError:
        yield "something packed that cannot be opened"


def _shown(samples: NDArray[np.uint16], white: int, release: Release) -> bool:
    """Tells whether samples, from 0 to ``white``, show a released image to its last bit."""
    images = np.moveaxis(release.images.cpu().float().numpy(), 1, -1)
    if images.shape[-1] == 1:
        images = images[..., 0]
    levels = (images.clip(0, 1) * np.float32(white)).round()
    return any(np.array_equal(samples, one) for one in levels)


def _is_pickle(layer: bytes) -> bool:
    """Tells whether the layer begins with a pickle; reads its steps without running them."""
    if layer[:1] != b"\x80" and layer[:2] not in (b"(d", b"(l", b"(c", b"cc", b"c_"):
        return False
    try:
        return sum(1 for _ in pickletools.genops(layer)) > 3
    except Exception:  # not a step of a pickle
        return False
