"""A comparison as TensorBoard reads it: losses, figures and synthetic images, and never a film.

There is no more in it than in ``log.jsonl``, ``metrics.json`` and the page. Files are made as bytes
and under names of our own, because TensorBoard's writer names its files after the host.
"""

import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipelines.comparison.runs import Compared
from pipelines.reports.comparison import MOST, shows_no_film
from pipelines.reports.comparison_rows import epsilon
from pipelines.run.errors import Exit, Stop
from pipelines.run.store import Json

EVENTS = "events.out.tfevents.0"
"""The name by which TensorBoard knows its files."""


def require_installed() -> None:
    """Checks that TensorBoard's formats can be written.

    Raises:
        Stop: it is not installed.
    """
    try:
        import torch.utils.tensorboard.summary  # noqa: F401
    except ImportError:
        raise Stop(
            "--tensorboard: TensorBoard is not installed; pip install 'medidd[tensorboard]'",
            Exit.USAGE,
        ) from None


def event_files(told: Json, runs: Mapping[str, Compared]) -> dict[str, bytes]:
    """Returns a file of events for each run, by its path in the folder.

    Args:
        told: the rows.
        runs: by the hash of their release.
    """
    found = {}
    for group in told["groups"]:
        for row in group["runs"]:
            name = (
                f"{row['row']}-{group['method']}-ipc{group['ipc']}-{group['size']}px-"
                f"epsilon-{epsilon(group['epsilon'])}-seed{row['seed']}"
            )
            found[f"{name}/{EVENTS}"] = _recorded(group, row, runs[row["release"]])
    return found


def _recorded(group: Json, row: Json, one: Compared) -> bytes:
    """Returns the events of a run, each at the time when its log was finished."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.summary.writer.record_writer import RecordWriter

    out, when = io.BytesIO(), one.run.log.stat().st_mtime
    writer = RecordWriter(out)
    writer.write(Event(wall_time=when, file_version="brain.Event:2").SerializeToString())
    for step, summary in _summaries(group, row, one):
        writer.write(Event(wall_time=when, step=step, summary=summary).SerializeToString())
    writer.flush()
    return out.getvalue()


def _summaries(group: Json, row: Json, one: Compared) -> Iterator[tuple[int, Any]]:
    from torch.utils.tensorboard import summary as untyped

    summary: Any = untyped

    said = {
        "method": group["method"],
        "ipc": group["ipc"],
        "size": group["size"],
        "epsilon": epsilon(group["epsilon"]),  # words, for "none" is no number
        "seed": row["seed"],
        **group["settings"],
    }
    figures = dict(_figures(row, one))
    yield from ((0, part) for part in summary.hparams(said, figures))
    step = 0
    for step, loss in _losses(one.run.log):
        yield step, summary.scalar("loss", loss)
    for name, value in figures.items():
        yield step, summary.scalar(name, value)
    if shows_no_film(one.release):
        ipc = one.facts["ipc"]
        for number, name in enumerate(one.facts["classes"]):
            shown = one.release.levels[number * ipc : number * ipc + min(ipc, MOST)]
            for place, image in enumerate(shown):
                yield step, summary.image(f"{name}/{place}", image.numpy(), dataformats="CHW")


def _losses(log: Path) -> list[tuple[int, float]]:
    """Returns step and loss of each line.

    Raises:
        Stop: the log is damaged.
    """
    try:
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        return [(int(line["step"]), float(line["loss"])) for line in lines]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise Stop(f"{log}: damaged; leave out --tensorboard, or this run", Exit.DATA) from None


def _figures(row: Json, one: Compared) -> Iterator[tuple[str, float]]:
    for of, metrics in one.metrics.items():
        for metric, interval in metrics.items():
            yield f"metrics/{of}/{metric}", interval["mean"]
    for name in ("bound", "caught"):
        if row["leakage"][name] is not None:
            yield f"leakage/{name}", row["leakage"][name]
    yield "bytes", float(row["bytes"])
    for stage, seconds in one.seconds.items():
        yield f"seconds/{stage}", seconds
