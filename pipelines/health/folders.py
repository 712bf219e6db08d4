"""What medidd doctor says about the folders that medidd writes to, without naming them."""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from pipelines.health.checks import Check, State
from pipelines.run.installation import BYTES, HOME, home
from pipelines.run.store import RUNS

NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "ceph", "lustre", "9p", "afs"})
VOLATILE = frozenset({"tmpfs", "ramfs"})

_LITTLE, _LEAST = 2 * 2**30, 64 * 2**20  # bytes free: less is a warning, or broken


def places() -> Iterator[Check]:
    """Checks the folder of the installation, its key, and the folder that runs go to."""
    yield from _folder(HOME, home(), volatile="the key is lost when the machine restarts")
    yield from _key(home() / "key")
    yield from _folder("runs", RUNS, volatile="runs are lost when the machine restarts")


def filesystem(path: Path, mounts: str) -> str:
    """Returns the type of the file system of a path; '' if it is not known.

    Args:
        path: absolute and without links.
        mounts: as /proc/mounts lists them: device, place and type of each. A device may contain
            the name of a host.
    """
    found = ("", "")
    for line in mounts.splitlines():
        _, place, kind, *_ = line.split(" ")
        place = place.replace("\\040", " ")
        if path.is_relative_to(place) and len(place) >= len(found[0]):
            found = (place, kind)
    return found[1]


def _folder(name: str, path: Path, *, volatile: str) -> Iterator[Check]:
    existing = next(one for one in (path, *path.absolute().parents) if one.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        yield Check(name, "broken", f"cannot be written; set {HOME} or --out to your own folder")
        return
    yield Check(name, "ok", "exists" if existing == path else "is made at the first run")
    free = shutil.disk_usage(existing).free
    state: State = "broken" if free < _LEAST else "warning" if free < _LITTLE else "ok"
    yield Check(f"{name}, free", state, f"{free / 2**30:.1f} GiB")
    yield _disk(name, existing.resolve(), volatile)
    yield _closed(name, path, existing)


def _disk(name: str, path: Path, volatile: str) -> Check:
    mounts = Path("/proc/mounts")
    kind = filesystem(path, mounts.read_text()) if mounts.exists() else ""
    if kind in NETWORK:
        text = f"{kind}: other machines also hold the films and send them over the network"
        return Check(f"{name}, disk", "warning", text)
    if kind in VOLATILE:
        return Check(f"{name}, disk", "warning", f"{kind}: {volatile}")
    return Check(f"{name}, disk", "ok", kind or "unknown type")


def _closed(name: str, path: Path, existing: Path) -> Check:
    """Says whether others can look into a folder, or put another in its place."""
    found = existing.resolve()
    if existing == path and (mode := stat.S_IMODE(path.stat().st_mode)) & 0o077:
        return Check(
            f"{name}, others", "warning", f"mode {mode:03o}: others can look in; chmod 700 it"
        )
    open_ = [one for one in (found, *found.parents) if _replaceable(one)]
    if open_:
        text = "others can write a folder above it, and so put another folder in its place"
        return Check(f"{name}, others", "warning", f"{text}; chmod go-w it")
    readable = existing != path and stat.S_IMODE(existing.stat().st_mode) & 0o044
    text = "can list names above it, but read nothing" if readable else "are kept out"
    return Check(f"{name}, others", "ok", text)


def _replaceable(folder: Path) -> bool:
    mode = folder.stat().st_mode
    return bool(mode & 0o022) and not mode & stat.S_ISVTX


def _key(path: Path) -> Iterator[Check]:
    if not path.exists():
        yield Check("key", "ok", "is made at the first run")
        return
    try:
        sound = len(bytes.fromhex(path.read_text())) == BYTES
    except (OSError, ValueError):
        sound = False
    if not sound:
        text = f"cannot be read, or is not valid; restore it, or set {HOME} to another folder"
        yield Check("key", "broken", text)
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        text = f"mode {mode:03o}: others can read it, and find out who was held out; chmod 600 it"
        yield Check("key", "warning", text)
    else:
        yield Check("key", "ok", f"exists, mode {mode:03o}")
