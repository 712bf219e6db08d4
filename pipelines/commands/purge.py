"""Deletes the films of runs, the pages that show them, and what audits learned from them.

A purged run keeps the release, its figures, its audit and its report, and the list of held-out
patients as keyed hashes. It can no longer be audited, and so not exported. Experts and denoisers
stay, for runs need them; as they hold something of the films, the command says so. The key, the
ledger of exports and the bundles are in other places; this command never touches them.
"""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from medidd.denoisers.trained import RECORD as DENOISER
from medidd.experts.files import RECORD as EXPERTS
from pipelines.run.errors import Exit, Stop
from pipelines.run.progress import Answer
from pipelines.run.store import RUNS, Run, write_json

HOLD_FILMS = (
    *("cohort", "reference", "members", "controls", "elsewhere"),  # the films
    *("audit", "canaries", "nulls", "again"),  # pages that show them, and sets learned from them
    "recipients",  # what networks trained on those sets say of each film
    *("checkpoint.safetensors", "refused-files.csv"),
)
"""What is deleted from the private part of a run."""

KEPT = (
    *("ledger.json", "worth", "purged.json", ".lock", "machines.json"),
    *("answers", "budget.json", "guarantee.json", "locks", "public.safetensors"),
)
"""What stays in it: who was held out, figures, a note that it was purged, public weights, and, with
a guarantee, the noisy answers, which it covers, and the name of the run in the account."""


@dataclass(frozen=True)
class Purge:
    """Delete the films of runs.

    Attributes:
        folders: runs, or folders of runs; empty for ``runs``.
        yes: delete; otherwise only say what would be deleted.
    """

    folders: Sequence[Path] = ()
    yes: bool = False


def run(job: Purge) -> Answer:
    """Deletes, or says what would be deleted.

    Raises:
        Stop: a folder holds no run, or something in it cannot be deleted.
    """
    sizes = {place.path: _bytes(place) for place in _places(job.folders or (RUNS,))}
    held = {path: size for path, size in sizes.items() if size is not None}
    if job.yes:
        for path in held:
            _delete(Run(path))
    total = sum(held.values())
    verb = "deleted" if job.yes else "would delete"
    lines = [f"{path}: {verb} films, {_spoken(size)}" for path, size in held.items()]
    lines += [
        f"{path}: what was trained on the films stays, and holds something of them; runs can still "
        "use it, and to be rid of it, delete the folder"
        for path in held
        if any((path / name).exists() for name in (EXPERTS, DENOISER))
    ]
    lines.append(f"{verb} {_spoken(total)} in {len(held)} of {len(sizes)} folders")
    if held:
        lines.append(
            "this does not reach copies in backups and snapshots, nor what a disk still holds of "
            "deleted files"
            if job.yes
            else "these can then no longer be audited, resumed or exported; to delete, add --yes"
        )
    value = {
        "deleted": job.yes,
        "bytes": total,
        "folders": {str(path): size for path, size in held.items()},
    }
    return Answer(lines, value)


def _places(folders: Sequence[Path]) -> Iterator[Run]:
    """Yields every run in ``folders``, and every folder that is itself a run."""
    for folder in dict.fromkeys(folders):
        if not folder.is_dir():
            raise Stop(f"{folder}: not a folder; name a run, or a folder of runs", Exit.USAGE)
        children = [folder, *sorted(folder.iterdir())]
        found = [Run(child) for child in children if _is_run(child)]
        if not found:
            raise Stop(
                f"{folder}: holds no run; name a run, or the folder that holds runs", Exit.USAGE
            )
        yield from found


def _is_run(path: Path) -> bool:
    run = Run(path)
    return not path.is_symlink() and run.job.is_file() and run.private.is_dir()


def _bytes(place: Run) -> int | None:
    """Returns the bytes of the films of a run, or None if there are none."""
    found = [path for path in _holding(place) if path.exists() or path.is_symlink()]
    if not found:
        return None
    files = [file for path in found for file in (path, *path.rglob("*"))]
    return sum(file.lstat().st_size for file in files if not file.is_dir())


def _holding(place: Run) -> list[Path]:
    # A link out of the run points to other files.
    return [] if place.private.is_symlink() else [place.private / name for name in HOLD_FILMS]


def _delete(place: Run) -> None:
    """Deletes the films after noting it on disk; a purge that was stopped can be repeated."""
    if place.ledger.exists():
        write_json(place.purged, {"purged": True})
    try:
        for path in _holding(place):
            if path.is_symlink() or path.is_file():
                path.unlink()
            elif path.is_dir():
                shutil.rmtree(path)
    except OSError as error:
        raise Stop(
            f"{place.path}: {error.strerror}; not all of its films are deleted: fix this and "
            "repeat the command",
            Exit.USAGE,
        ) from None


def _spoken(size: int) -> str:
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} bytes"
