"""The files of expert trajectories: one array of snapshots for each, and a record of them all.

A file is for its owner alone, and takes its name once it is whole. The record is signed with its
own digest, so that one edited by hand is refused; damage to an array shows in its shape.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

RECORD = "experts.json"
"""The file of the record."""


def expert_file(folder: Path, number: int) -> Path:
    """Returns where the snapshots of one expert are."""
    return folder / f"expert-{number:04}.npy"


def mapped(path: Path, shape: tuple[int, int], dtype: str) -> NDArray[np.floating[Any]]:
    """Returns the snapshots of one expert, (epochs + 1, P), which stay on the disk."""
    try:
        rows: NDArray[np.floating[Any]] = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise ValueError(f"{path}: missing; repeat medidd experts, which makes it") from None
    except (ValueError, EOFError):
        rows = np.empty(0)
    if rows.shape != shape or rows.dtype != dtype:
        raise ValueError(f"{path}: damaged; delete it and repeat medidd experts") from None
    return rows


def read_record(
    folder: Path, name: str = RECORD, what: str = "experts", command: str = "medidd experts"
) -> dict[str, Any]:
    """Returns what ``write_record`` wrote down, with its sha256.

    Args:
        folder: where it is.
        name: of the file.
        what: it tells of, for people.
        command: that makes it.

    Raises:
        ValueError: there is none, or the record is damaged.
    """
    path = folder / name
    try:
        record: dict[str, Any] = json.loads(path.read_bytes())
        kept = record.pop("sha256")
    except FileNotFoundError:
        raise ValueError(f"{folder}: no {what}; train with {command}") from None
    except (ValueError, KeyError, AttributeError, TypeError):
        record, kept = {}, None
    if kept != _sha256(record):
        raise ValueError(f"{path}: damaged; delete the folder and repeat {command}") from None
    return record | {"sha256": kept}


def write_record(folder: Path, record: Mapping[str, Any], name: str = RECORD) -> None:
    """Writes what ``read_record`` returns, but for the digest, which is added."""
    with whole(folder / name) as partial:
        text = json.dumps({**record, "sha256": _sha256(record)}, indent=2, sort_keys=True)
        partial.write_text(text + "\n")


def _sha256(record: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def differing(found: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """Returns what people are told of entries that differ."""
    return [
        f"{name} {found.get(name, 'unknown')} instead of {asked.get(name, 'unknown')}"
        for name in sorted(found.keys() | asked.keys())
        if found.get(name) != asked.get(name)
    ]


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Gives a new file for its owner alone, which takes its name once it is whole."""
    partial = path.with_name(f".{path.name}.part")
    partial.unlink(missing_ok=True)
    partial.touch(mode=0o600)
    try:
        yield partial
    except BaseException:
        partial.unlink()
        raise
    partial.replace(path)
