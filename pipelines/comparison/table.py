"""A comparison on a terminal of 80 columns."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pipelines.reports.comparison_rows import shown
from pipelines.run.store import Json

_WORTH = {
    "row": ("row", -5),
    "method": ("method", -16),
    "ipc": ("ipc", 4),
    "size": ("px", 4),
    "epsilon": ("eps", 5),
    "seeds": ("seed", 7),
    "auc": ("AUC", 6),
    "spread": ("95 % interval", -14),
    "own": ("own", 6),
    "leak": ("leak", 6),
    "marks": ("", 3),
}
_REST = {
    "row": ("row", -5),
    "hm": ("hm", 6),
    "random": ("random", 7),
    "kmeans": ("k-means", 8),
    "full": ("full", 6),
    "caught": ("caught", 7),
    "seconds": ("s", 6),
    "bytes": ("bytes", 9),
    "audit": ("audit", -25),
}
"""Columns: what stands above, and the width, negative if it is aligned to the left."""

_LEGEND = (
    "AUC: of networks trained on the images; own: of the method's own classifier",
    "leak: AUC that an attack on membership reaches at most. g: by the guarantee, any attack; "
    "else the 95 % upper bound of the strongest attack that the audit made",
    "caught: members recognised at 5 % false alarms, at most, likewise",
    "leak and caught are about the average patient: FAIL comes first, for a release can show one",
)


def lines(
    told: Json,
    paths: Mapping[str, str],
    failed: Sequence[str],
    page: Path | None,
    events: Path | None,
) -> list[str]:
    """Returns the comparison, as lines.

    Args:
        told: the rows.
        paths: where each run is, by row.
        failed: why runs have no row.
        page: the page that was written, if any.
        events: the folder for TensorBoard that was written, if any.
    """
    rows = [_with_short(row) for row in shown(told["groups"])]
    settings = {row["row"]: row["settings"] for row in rows if row["settings"]}
    return [
        *_table(_WORTH, rows),
        "",
        *_table(_REST, rows),
        "",
        *_LEGEND,
        *(f"{letter}: {text}" for letter, text in told["marks"].items()),
        *(f"note: {note}" for note in told["notes"]),
        *(f"settings of {row}: {said}" for row, said in settings.items() if "." not in row),
        *(f"{row}: {path}" for row, path in paths.items()),
        *(f"not compared: {why}" for why in failed),
        *([f"page: {page}"] if page else []),
        *([f"events: {events}"] if events else []),
    ]


def _with_short(row: Mapping[str, str]) -> dict[str, str]:
    guaranteed = "g" if row["guaranteed"] else ""
    return {
        **row,
        "leak": f"{row['bound']}{guaranteed}",
        "audit": f" {row['verdict']} {row['level']}",
        "marks": f" {row['marks']}",
        "spread": f" {row['spread']}",
    }


def _table(columns: Mapping[str, tuple[str, int]], rows: Sequence[Mapping[str, str]]) -> list[str]:
    head = {name: title for name, (title, _) in columns.items()}
    head |= {name: f" {head[name]}" for name in ("spread", "audit") if name in head}
    return [
        "".join(_cell(row[name], width) for name, (_, width) in columns.items()).rstrip()
        for row in (head, *rows)
    ]


def _cell(text: str, width: int) -> str:
    return f"{text:<{-width}}" if width < 0 else f"{text:>{width}}"
