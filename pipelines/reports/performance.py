"""The page about a test of a classifier on a recipient's own films."""

from collections.abc import Iterator
from pathlib import Path

from medidd.dicom.errors import counts
from pipelines.reports.figures import reliability, roc
from pipelines.reports.pages import environment
from pipelines.reports.report import COLUMNS
from pipelines.run.errors import Exit, Stop
from pipelines.run.store import Json, dumped, write

PAGE, RESULT = "report.html", "test.json"

_METRICS = {name: words for name, words in COLUMNS.items() if name != "auc_of_mean"}
_TRAITS = {"sex": "sex", "age": "age", "device": "device"}


def written(place: Path, result: Json) -> None:
    """Writes the page, and the figures for programs.

    Args:
        place: the folder.
        result: of ``pipelines.models.testing.tested``, with what the command adds.

    Raises:
        Stop: the folder cannot be written.
    """
    try:
        write(place / PAGE, page(result).encode())
        write(place / RESULT, dumped(result))
    except OSError as error:
        raise Stop(
            f"{place}: {error.strerror}; name a folder that you can write with --out", Exit.USAGE
        ) from None


def page(result: Json) -> str:
    """Returns the page, as HTML."""
    return (
        environment()
        .get_template("performance.html")
        .render(
            result=result,
            overall=[(words, result["metrics"][name]) for name, words in _METRICS.items()],
            columns=list(_METRICS.values()),
            groups=list(_groups(result)),
            few=[one for one in result["groups"] if one["metrics"] is None],
            roc_curve=roc({"model": result["roc"]}),
            reliability_curve=reliability(result["calibration"]["bins"]),
            refused=counts(result["refused"]) if result["refused"] else "",
        )
    )


def _groups(result: Json) -> Iterator[Json]:
    for one in result["groups"]:
        if one["metrics"] is not None:
            name = f"{_TRAITS[one['trait']]} {one['group'] or 'not known'}"
            yield one | {"name": name, "values": [one["metrics"][name] for name in _METRICS]}
