"""The reviewer's sheet: does a person recognise a patient in a released image?

Next to each image are films of the patients nearest to it, members and controls in random order.
Nothing in the sheet tells which is which; a separate file, the key, does. If a reviewer finds "the
same patient" more often among the members than among the controls, this is a leak that no number of
the audit showed.
"""

import base64
import hashlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from string import ascii_uppercase
from typing import Any

import torch
from PIL import Image
from torch import Generator, Tensor
from torch.nn import functional as F

from pipelines.reports.pages import environment
from pipelines.run.store import Json
from privacy.attacks.views import VIEWS, moves, shrink, standardise, still
from privacy.evidence import Evidence
from privacy.likeness.clearness import named
from privacy.release import Films, Release

SIDES = ("training set", "control")
VIEWED, ENCODED, NAMED = ("raw", "low-pass 2"), "encoder", "named"
NEAREST = 3
"""Number of patients of each side, in each view and for the encoder."""

Distance = Callable[[Tensor, Tensor], Tensor]
"""Distance of images (m, C, H, W) from films (n, C, H, W), (m, n); only the order counts."""


@dataclass(frozen=True)
class Window:
    """The intensities that are shown as black and white, the same for every picture of a report.

    Attributes:
        black: intensity of a film or a released image.
        white: likewise.
    """

    black: float
    white: float

    def address(self, image: Tensor) -> str:
        """Returns an image (C, H, W) as PNG in a data address."""
        span = max(self.white - self.black, 1e-9)
        shown = ((image.float().cpu() - self.black) / span).clamp(0, 1).mul(255).round()
        pixels = shown.to(torch.uint8).numpy()
        picture = Image.fromarray(pixels.transpose(1, 2, 0) if len(pixels) == 3 else pixels[0])
        out = io.BytesIO()
        picture.save(out, "PNG", optimize=True)
        return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()


@dataclass(frozen=True)
class Candidate:
    """A film that is shown next to a released image.

    Attributes:
        side: "training set" or "control".
        row: number of the film on that side.
        near: views in which its patient is among the nearest; "encoder" for the encoder, "named"
            if A5 finds that the image names this patient.
    """

    side: str
    row: int
    near: tuple[str, ...]


def window_of(evidence: Evidence) -> Window:
    """Returns the window that shows the full range of all films; display values keep 0 to 1."""
    films = evidence.everybody.images
    low, high = float(films.min()), float(films.max())
    return Window(0.0, 1.0) if low >= 0 and 0.5 < high <= 1 else Window(low, high)


def write_sheet(evidence: Evidence, rng: Generator) -> tuple[bytes, Json]:
    """Returns the sheet, HTML, and its key."""
    window = window_of(evidence)
    sides = dict(zip(SIDES, (evidence.members, evidence.controls), strict=True))
    pages, key = [], {}
    for number, candidates in enumerate(_candidates(evidence), start=1):
        order = torch.randperm(len(candidates), generator=rng).tolist()
        shown = {
            letter: candidates[place] for letter, place in zip(ascii_uppercase, order, strict=False)
        }
        pages.append(
            {
                "number": number,
                "image": window.address(evidence.release.images[number - 1]),
                "columns": 4 if len(shown) <= 12 else 5,
                "films": [
                    {"letter": letter, "src": window.address(sides[one.side].images[one.row])}
                    for letter, one in shown.items()
                ],
            }
        )
        key[str(number)] = {
            letter: {
                "side": one.side,
                "patient": str(sides[one.side].patients[one.row]),
                "nearest in": list(one.near),
            }
            for letter, one in shown.items()
        }
    code = _code(pages)
    page = environment().get_template("reviewer.html").render(pages=pages, code=code)
    return page.encode(), {"sheet": code, "images": key}


def _candidates(evidence: Evidence) -> list[list[Candidate]]:
    """Returns the nearest patients of both sides for each released image."""
    distances = {name: in_view(name) for name in VIEWED}
    if evidence.encoder is not None:
        distances[ENCODED] = encoded(evidence.encoder, evidence.everybody.images)
    chosen = [
        _nearest(evidence.release, side, films, distances)
        for side, films in zip(SIDES, (evidence.members, evidence.controls), strict=True)
    ]
    people = named(evidence).who
    return [
        _with_named([*members, *controls], whom, evidence)
        for members, controls, whom in zip(*chosen, people, strict=True)
    ]


def _with_named(
    candidates: list[Candidate], whom: list[int], evidence: Evidence
) -> list[Candidate]:
    """Returns the candidates with those whom A5 finds the image to name, on whichever side."""
    patients = {(one.side, _patient(one, evidence)): one for one in candidates}
    for person in whom:
        inside = person < len(evidence.members.ids)
        films = evidence.members if inside else evidence.controls
        number = person if inside else person - len(evidence.members.ids)
        key = SIDES[0 if inside else 1], number
        known = patients.get(key, Candidate(key[0], int(films.first[number]), ()))
        patients[key] = replace(known, near=(*known.near, NAMED))
    return list(patients.values())


def _patient(candidate: Candidate, evidence: Evidence) -> int:
    """Returns the number of a candidate's patient on the candidate's side."""
    films = evidence.members if candidate.side == SIDES[0] else evidence.controls
    return int(films.patient[candidate.row])


def _nearest(
    release: Release, side: str, films: Films, distances: Mapping[str, Distance]
) -> list[list[Candidate]]:
    """Returns the nearest patients of one side, with one film each."""
    found: list[dict[int, tuple[int, list[str]]]] = [{} for _ in range(len(release))]
    for name, distance_of in distances.items():
        for patients, distance in zip(
            found, distance_of(release.images, films.images), strict=True
        ):
            for row in _closest(distance, films):
                patients.setdefault(int(films.patient[row]), (row, []))[1].append(name)
    return [
        [Candidate(side, row, tuple(near)) for row, near in patients.values()] for patients in found
    ]


def _closest(distance: Tensor, films: Films) -> list[int]:
    """Returns the nearest film of each of the nearest patients, nearest first."""
    rows: dict[int, int] = {}
    for row in distance.argsort(stable=True).tolist():
        rows.setdefault(int(films.patient[row]), row)
        if len(rows) == NEAREST:
            break
    return list(rows.values())


def in_view(name: str) -> Distance:
    """Returns the distance in one view of A5: the smallest over flips and shifts of the image."""
    view = VIEWS[name]

    def scale(images: Tensor) -> Tensor:
        return images if name == "raw" else standardise(images)

    def distance(images: Tensor, films: Tensor, chunk: int = 16) -> Tensor:
        parts = torch.split(films, 256)
        targets = torch.cat([scale(still(view(shrink(x)))).flatten(1) for x in parts])
        rows = []
        for some in torch.split(images, chunk):
            moved = scale(moves(view(shrink(some))))
            each = torch.cdist(moved.flatten(2).flatten(0, 1), targets)
            rows.append(each.view(len(some), moved.shape[1], -1).amin(1))
        return torch.cat(rows)

    return distance


def encoded(encoder: Callable[[Tensor], Tensor], everybody: Tensor) -> Distance:
    """Returns the angle between the encoder's vectors of two images, after subtracting the mean."""

    def seen(images: Tensor) -> Tensor:
        with torch.no_grad():
            return torch.cat([encoder(part).flatten(1) for part in torch.split(images, 256)])

    mean = seen(everybody).mean(0)

    def distance(images: Tensor, films: Tensor) -> Tensor:
        return -F.normalize(seen(images) - mean) @ F.normalize(seen(films) - mean).T

    return distance


def _code(pages: list[dict[str, Any]]) -> str:
    """Returns eight digits that match a printed sheet with its key."""
    digest = hashlib.sha256()
    for page in pages:
        for src in (page["image"], *(film["src"] for film in page["films"])):
            digest.update(src.encode())
    return digest.hexdigest()[:8].upper()
