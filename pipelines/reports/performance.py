"""The page about a test of a classifier on a recipient's own films."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from medidd.dicom.errors import counts
from pipelines.reports.figures import reliability, roc
from pipelines.reports.pages import environment
from pipelines.reports.report import COLUMNS
from pipelines.run.folders import write_whole
from pipelines.run.release_file import png
from pipelines.run.store import Json, dumped

PAGE, RESULT = "report.html", "test.json"

_METRICS = {name: words for name, words in COLUMNS.items() if name != "auc_of_mean"}
_MOST = 12
"""Synthetic images that the page shows."""


@dataclass(frozen=True, eq=False)
class Pictures:
    """What a person compares: films and the synthetic images that stand for such films.

    Attributes:
        released: the synthetic images, display values (m, 1, H, W).
        means: captions and means of the recipient's films, or of their patches, (1, H, W).
    """

    released: Tensor
    means: tuple[tuple[str, Tensor], ...]

    def shown(self) -> Iterator[tuple[str, str]]:
        """Yields captions and addresses: the means, then synthetic images."""
        for caption, mean in self.means:
            yield caption, address(mean)
        for number, image in enumerate(self.released[:_MOST], start=1):
            yield f"synthetic image {number}", address(image)


def address(image: Tensor) -> str:
    """Returns a picture (1, H, W) of display values as a data address."""
    return "data:image/png;base64," + base64.b64encode(png(image.numpy())).decode()


def written(place: Path, result: Json, pictures: Pictures) -> None:
    """Writes the page, and the figures for programs.

    Args:
        place: the folder.
        result: of ``pipelines.models.testing.tested``, with what the command adds.
        pictures: what a person compares.

    Raises:
        Stop: the folder cannot be written.
    """
    files = {PAGE: page(result, pictures).encode(), RESULT: dumped(result)}
    write_whole(place, files, "--out")


def page(result: Json, pictures: Pictures) -> str:
    """Returns the page, as HTML."""
    return (
        environment()
        .get_template("performance.html")
        .render(
            result=result,
            pictures=list(pictures.shown()),
            overall=[result["metrics"][name] for name in _METRICS],
            columns=list(_METRICS.values()),
            groups=list(_groups(result)),
            few=[one for one in result["groups"] if one["metrics"] is None],
            roc_curve=roc({"model": result["roc"]}),
            reliability_curve=reliability(result["calibration"]["bins"])
            if result["calibration"]
            else None,
            refused=counts(result["refused"]) if result["refused"] else "",
        )
    )


def _groups(result: Json) -> Iterator[Json]:
    for one in result["groups"]:
        if one["metrics"] is not None:
            name = f"{one['trait']} {one['group'] or 'not known'}"
            yield one | {"name": name, "values": [one["metrics"][name] for name in _METRICS]}
