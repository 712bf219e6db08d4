"""G4: does an outgoing file name a patient?

The attacker reads the files: their names, headers, comments and everything packed in them. The
audit passes every token to a function that knows the cohort's identifiers (as keyed hashes, so that
the audit never holds them), and searches every layer for what only clinical files contain. The
attacker also looks at the pictures. The audit finds text that is drawn on an image, but does not
read it, so a person has to look.
"""

import re
from collections.abc import Iterator

import torch
from torch import Generator

from privacy.evidence import Evidence
from privacy.finding import Finding, Verdict
from privacy.gates.burned_in import CERTAIN, UNCERTAIN, legibility
from privacy.gates.formats import frames
from privacy.gates.layers import PNG, UnreadableError, layers
from privacy.policy import Policy
from privacy.release import Release

SHORTEST = 4
"""Shorter tokens are no evidence: every table of numbers contains "17"."""
MOST_PARTS = 6

_RUN = re.compile(r"[^\x00-\x1f\x7f\ufffd]{4,}")
# Windows programs write a zero next to each letter; of other text, every second byte is no word.
_WIDE = re.compile(
    rb"(?:[\x20-\xff]\x00){4,}|(?:\x00[\x20-\xff]){4,}"
    rb"|(?:[\x20-\xff]\x00{3}){4,}|(?:\x00{3}[\x20-\xff]){4,}"  # NumPy writes four bytes a letter
)
_CHUNK = re.compile(r"[^\s\"'`<>(){}\[\],;=|&*?!\\]{4,}")
_NUMBER = re.compile(r"[+-]?\d*\.\d+(?:[eE][+-]?\d+)?")
_SEPARATOR = re.compile(r"[/:.@#_^+-]+")
_UID = re.compile(
    r"(?<![\w.])(?:[0-2](?:\.(?:0|[1-9]\d*)){3,}"
    r"|2\.25\.[1-9]\d{9,38})(?![\w.]*\w)"  # a UUID as a number (PS3.5 B.2)
)
_STANDARD_UID = "1.2.840.10008."  # the DICOM standard's own: names of formats, not of studies
_DICOM = re.compile(rb"DICM\x02\x00")
_DATE = re.compile(
    rb"(?:\w{0,20}Date(?:Time)?|[0-9A-Fa-f]{4},\s?[0-9A-Fa-f]{4}\)?\s?(?:DA|DT)?)"
    rb"[\"'\]\s:=>\[(\x00]{1,8}(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?!\d)"
    rb"|DA\x08\x00(?:19|20)\d{6}"
)
_NAME = re.compile(r"(?<![\w^])[A-Z][\w'-]+(?: [A-Z][\w'-]+)*\^[A-Z][\w'-]*(?:\^[\w'-]*)*")
_NAME_ELEMENT = re.compile(rb"PN[\x04-\x40]\x00([A-Za-z][\w' -]+\^[\w'^ -]*)")
_PICTURES = (PNG, b"\xff\xd8\xff")  # PNG, JPEG
_PATH = re.compile(
    r"(?<![\w.:/])/(?:home|Users|mnt|media|srv|scratch|root)/[\w.-]+|(?<!\w)[A-Z]:\\+[\w.-]{2,}"
)


def leaks(evidence: Evidence, policy: Policy, rng: Generator) -> Finding:  # noqa: ARG001
    """Scans names and contents of all outgoing files; the finding never repeats what it found."""
    counts: dict[str, dict[str, int]] = {}
    unreadable = 0
    shown = list(evidence.release.images.flatten(0, 1))
    pixels = _pixels(evidence.release)
    for number, (name, data) in enumerate(sorted(evidence.outgoing.items()), start=1):
        in_name = _count(name.encode(), evidence)
        found = dict(in_name)
        try:
            for layer in layers(data):
                for kind, times in _count(_without_pixels(layer, pixels), evidence).items():
                    found[kind] = found.get(kind, 0) + times
                if layer.startswith(_PICTURES):
                    shown += frames(layer)
        except UnreadableError:
            unreadable += 1
        if data[128:134] == b"DICM\x02\x00" and name.lower().endswith(".dcm"):
            found["a DICOM file inside"] -= 1
        if any(found.values()):
            # A name that is itself a leak must not be printed either.
            label = f"file {number} (its name tells)" if any(in_name.values()) else name
            counts[label] = {kind: times for kind, times in found.items() if times}
    fits = legibility(shown)
    drawn = sum(fit >= CERTAIN for fit in fits)
    doubtful = sum(UNCERTAIN <= fit < CERTAIN for fit in fits)
    total = sum(sum(found.values()) for found in counts.values())
    verdict, text = _verdict(evidence, counts, drawn, doubtful, unreadable)
    return Finding.exact(
        audit="G4",
        name="Identifiers in outgoing files",
        verdict=verdict,
        value=float(total + drawn),
        limit=0.0,
        text=text,
        details={
            "files": len(evidence.outgoing),
            "found": counts,
            "unreadable": unreadable,
            "pictures": len(fits),
            "with text": drawn,
            "perhaps with text": doubtful,
        },
    )


def _verdict(
    evidence: Evidence,
    counts: dict[str, dict[str, int]],
    drawn: int,
    doubtful: int,
    unreadable: int,
) -> tuple[Verdict, str]:
    if not evidence.outgoing or evidence.is_identifier is None:
        return Verdict.INVALID, (
            "There are no outgoing files, or no list of identifiers to compare them with."
        )
    if counts or drawn:
        named = f"{len(counts)} outgoing files hold what may name a patient: {', '.join(counts)}."
        seen = f"Text is drawn on {drawn} pictures."
        return Verdict.FAIL, " ".join([named] * bool(counts) + [seen] * bool(drawn))
    if unreadable:
        return Verdict.INVALID, f"{unreadable} outgoing files cannot be read to the end."
    if doubtful:
        return Verdict.INCONCLUSIVE, (
            f"Something on {doubtful} pictures looks like letters or digits; a person has to look."
        )
    return Verdict.PASS, (
        f"No identifier of the cohort was found in the {len(evidence.outgoing)} outgoing files, "
        "and no legible line of text on a picture."
    )


def tokens(text: str) -> Iterator[str]:
    """Yields every token that may be an identifier: each word, and each run of its parts.

    ``img_PAT-001.png`` yields PAT, PAT-001, img_PAT, ... but 0.20240131 only itself.
    """
    for chunk in _CHUNK.findall(text):
        yield chunk
        if _NUMBER.fullmatch(chunk):
            continue
        cuts = [m.span() for m in _SEPARATOR.finditer(chunk)]
        starts = [0, *(end for _, end in cuts)]
        ends = [*(begin for begin, _ in cuts), len(chunk)]
        for i, begin in enumerate(starts):
            for end in ends[i : i + MOST_PARTS]:
                if SHORTEST <= end - begin < len(chunk):
                    yield chunk[begin:end]


def _pixels(release: Release) -> list[bytes]:
    """Returns the 8-bit samples of each released image, as files hold them."""
    levels = (release.images.cpu().float() * 255).round().clamp(0, 255).to(torch.uint8)
    return [image.numpy().tobytes() for image in levels]


def _without_pixels(data: bytes, pixels: list[bytes]) -> bytes:
    """Returns a file without the released images.

    Dark gray pixels have the numbers of digits and letters, so an image spells words by chance. The
    images are looked at as pictures.
    """
    for samples in pixels:
        data = data.replace(samples, b"\x00")
    return data


def _count(layer: bytes, evidence: Evidence) -> dict[str, int]:
    """Returns how often each kind of leak occurs in one layer."""
    text = layer.decode(errors="replace")
    wide = b"\n".join(run.replace(b"\x00", b"") for run in _WIDE.findall(layer))
    runs = _RUN.findall(text) + _RUN.findall(wide.decode("latin-1"))
    # In noise, a caret between two letters is no name; but noise has no long readable runs.
    readable = "\n".join(runs if _is_text(layer) else [run for run in runs if len(run) >= 24])
    known = evidence.is_identifier or (lambda _: False)
    seen = {token for run in runs for token in tokens(run)} - evidence.own
    return {
        "identifier": sum(map(known, seen)),
        "DICOM UID": sum(_is_private_uid(uid, evidence.own) for run in runs for uid in _uids(run)),
        "date of a DICOM attribute": len(_DATE.findall(layer)) + len(_DATE.findall(wide)),
        "person name": len(_NAME.findall(readable)) + _people(layer, evidence.own),
        "path": len(_PATH.findall(readable)),
        "a DICOM file inside": len(_DICOM.findall(layer)),
    }


def _people(layer: bytes, own: frozenset[str]) -> int:
    """Returns how many elements name a person; names made for this export do not count."""
    return sum(name.decode("latin-1").strip() not in own for name in _NAME_ELEMENT.findall(layer))


def _uids(text: str) -> list[str]:
    return _UID.findall(text)


def _is_private_uid(uid: str, own: frozenset[str]) -> bool:
    """Tells UIDs of studies from versions such as 1.2.3.4 and from the UIDs of the standard."""
    long_enough = len(uid) >= 14 or uid.startswith("2.25.")
    return long_enough and not uid.startswith(_STANDARD_UID) and uid not in own


def _is_text(layer: bytes) -> bool:
    head = layer[:4096]
    return sum(byte in b"\t\n\r\x00" or 32 <= byte < 127 or byte > 127 for byte in head) >= (
        0.95 * len(head)
    ) and not any(byte in head for byte in (1, 2, 3, 4, 5, 6))
