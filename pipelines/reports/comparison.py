"""The page that compares runs: one file, no scripts, nothing loaded from elsewhere.

Runs have numbers and no names, for folders may be named after people.
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
import torch

from pipelines.reports.comparison_figures import over, trade_off
from pipelines.reports.comparison_rows import epsilon, shown
from pipelines.reports.pages import environment
from pipelines.run.release_file import Release, png
from pipelines.run.store import Json
from privacy.policy import load_policy

PAGE = "compare.html"

MOST = 12
"""Images of each class that the page shows of a run."""

_BETWEEN = 2
"""Pixels between two images."""

_VARIED = {"ipc": "images per class", "epsilon": "epsilon", "size": "size in pixels"}


@dataclass(frozen=True)
class Strip:
    """The images of a run, as one picture with a row for each class.

    Attributes:
        src: data address of the picture.
        classes: names of the rows, from the top.
        shown: images of each class in it.
        ipc: images of each class in the release.
    """

    src: str
    classes: tuple[str, ...]
    shown: int
    ipc: int


def shows_no_film(release: Release) -> bool:
    """Tells whether images began as something that contains no film.

    Those of a baseline such as ``random`` are films, and others that began as films may show them.
    """
    return release.facts["start"] in load_policy().starts_without_films


def strip(release: Release) -> Strip:
    """Returns the first images of each class of a release, which ``shows_no_film``."""
    ipc, classes = release.facts["ipc"], release.facts["classes"]
    taken, (_, channels, height, width) = min(ipc, MOST), release.levels.shape
    down, right = height + _BETWEEN, width + _BETWEEN
    sheet = torch.ones(channels, len(classes) * down - _BETWEEN, taken * right - _BETWEEN)
    for row in range(len(classes)):
        for column in range(taken):
            image = release.display[row * ipc + column]
            sheet[:, row * down : row * down + height, column * right : column * right + width] = (
                image
            )
    picture = base64.b64encode(png(np.asarray(sheet))).decode()
    return Strip(f"data:image/png;base64,{picture}", tuple(classes), taken, ipc)


def page(told: Json, strips: Mapping[str, Strip]) -> str:
    """Returns the page, as HTML.

    Args:
        told: rows of ``pipelines.comparison.rows``, with ``notes`` and ``missing``.
        strips: the images of each run that may be shown, by the hash of its release.
    """
    groups = told["groups"]
    alike = [group for group in groups if group["comparable"]]
    leaking = [group for group in alike if group["leakage comparable"]]
    plotted = [group for group in leaking if group["leakage"]["bound"] is not None]
    varied = {name: words for name, words in _VARIED.items() if len({g[name] for g in alike}) > 1}
    return (
        environment()
        .get_template("comparison.html")
        .render(
            version=version("medidd"),
            runs=sum(len(group["runs"]) for group in groups),
            rows=list(shown(groups)),
            marks=told["marks"],
            notes=told["notes"],
            missing=told["missing"],
            apart=[group["row"] for group in groups if not group["comparable"]],
            unplotted=[group["row"] for group in alike if group not in plotted],
            trade_off=trade_off(plotted) if plotted else "",
            curves=[(words, over(name, alike)) for name, words in varied.items()],
            strips=list(_strips(groups, strips)),
            hidden=[run["row"] for _, run in _runs(groups) if run["release"] not in strips],
        )
    )


def _runs(groups: Sequence[Json]) -> Iterator[tuple[Json, Json]]:
    for group in groups:
        for run in group["runs"]:
            yield group, run


def _strips(groups: Sequence[Json], strips: Mapping[str, Strip]) -> Iterator[Json]:
    for group, run in _runs(groups):
        if (own := strips.get(run["release"])) is not None:
            words = (
                f"{group['method']}, {group['ipc']} per class, {group['size']} px, epsilon "
                f"{epsilon(group['epsilon'])}, seed {run['seed']}"
            )
            yield {"row": run["row"], "words": words, "strip": own}
