"""A cohort with planted identifiers, and commands run on it."""

import contextlib
import csv
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom

from pipelines.cli.main import main as medidd
from pipelines.commands.distill import Distill
from pipelines.run.films import Studies
from pipelines.run.installation import home
from pipelines.run.store import write

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "sample_data"

PLAIN = ("--epsilon", "none")
"""No guarantee: with one, the noise of cohorts as small as these would hide what is tested."""

SMALL = (
    *("--size", "16", "--width", "4", "--steps", "6", "--device", "cpu"),
    *("--method", "dm", *PLAIN),
)
"""What keeps a run small."""

FEW = (*SMALL[:4], *PLAIN, "--count", "2", "--epochs", "3", "--epoch-steps", "2", "--batch", "8")
"""What keeps experts small."""

MATCHING = ("--set", "inner_steps=2", "--set", "expert_epochs=1", "--set", "last_start=2")
"""What such experts have epochs enough for."""

BRIEF = ("--size", "16", *PLAIN, "--steps", "3", "--batch", "8", "--device", "cpu")
"""What keeps the training of a denoiser short."""

DRAWING = tuple(
    word
    for setting in ("path=2", "memory=2", "batch=4", "sampling_steps=4")
    for word in ("--set", setting)
)
"""What keeps a run short that draws from one."""

MARK = "ZZPHI"
"""Stands in every planted identifier, and nowhere else."""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Source:
    """A folder of studies with its table of labels beside it.

    Attributes:
        folder: the studies.
        patient_of: PatientID of each study, by StudyInstanceUID.
        instances: SOPInstanceUIDs of the films in it.
    """

    folder: Path
    patient_of: dict[str, str]
    instances: frozenset[str]

    @property
    def labels(self) -> Path:
        return self.folder.parent / "labels.csv"


@dataclass(frozen=True)
class Made:
    """A finished run, and how its command ended."""

    path: Path
    ended: Ended
    source: Source


def plant(beside: Path, per_class: int) -> Source:
    """Copies patients of the sample data, each with invented identifiers, to ``beside/studies``."""
    with (SAMPLE / "labels.csv").open() as file:
        label_of = {row["StudyInstanceUID"]: row["label"] for row in csv.DictReader(file)}
    taken: dict[str, int] = defaultdict(int)
    studies, instances, patient_of = {}, set(), {}
    for folder in sorted((SAMPLE / "studies").iterdir(), key=lambda path: int(path.name)):
        films = sorted(folder.rglob("*.dcm"))
        label = label_of[pydicom.dcmread(films[0], stop_before_pixels=True).StudyInstanceUID]
        if taken[label] == per_class:
            continue
        number = sum(taken.values())
        taken[label] += 1
        for count, path in enumerate(films):
            film = pydicom.dcmread(path)
            relabel(film, number)
            # All files have plain numbers for names, but for the first.
            name = f"{count}.dcm" if number else f"{MARK}_Doe_{count}.dcm"
            target = beside / "studies" / str(number) / name
            target.parent.mkdir(parents=True, exist_ok=True)
            film.save_as(target)
            studies[film.StudyInstanceUID] = label
            patient_of[film.StudyInstanceUID] = film.PatientID
            instances.add(film.SOPInstanceUID)
    write_labels(beside / "labels.csv", studies)
    return Source(beside / "studies", patient_of, frozenset(instances))


def relabel(film: pydicom.Dataset, number: int) -> None:
    """Puts invented identifiers into a film."""
    film.PatientName = f"{MARK}Family{number:04}^{MARK}Given{number:04}"
    film.PatientID = f"{MARK}ID{number:04}"
    film.OtherPatientIDs = f"{MARK}OTHER{number:04}"
    film.AccessionNumber = f"{MARK}ACC{number:04}"
    film.StudyID = f"{MARK}STUDY{number:04}"
    film.InstitutionName = f"{MARK} House of Testing"
    film.ReferringPhysicianName = f"{MARK}Referrer^{MARK}Ada"
    film.OperatorsName = f"{MARK}Operator^{MARK}Bob"


def write_labels(path: Path, label_of: dict[str, str]) -> None:
    rows = "".join(f"{study},{label}\n" for study, label in sorted(label_of.items()))
    path.write_text(f"StudyInstanceUID,label\n{rows}")


def called(*arguments: object) -> Ended:
    """Runs a command inside this process."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            medidd([str(argument) for argument in arguments])
        except SystemExit as end:
            code = int(end.code or 0)
    return Ended(code, out.getvalue(), err.getvalue())


def started(*arguments: object, short: bool = False) -> "subprocess.Popen[str]":
    """Starts a command as a process of its own, ``short`` with trainings as brief as in here."""
    program = [str(Path(__file__).with_name("short_trainings.py"))]
    return subprocess.Popen(
        [
            sys.executable,
            *(program if short else ["-m", "pipelines.cli.main"]),
            *map(str, arguments),
        ],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def distill(source: Source, run: Path, *more: object) -> Ended:
    """Runs a small distillation, three images per class."""
    return called("distill", "--dicom-dir", source.folder, "--ipc", 3, *SMALL, "--out", run, *more)


def train_experts(source: Source, folder: Path, *more: object) -> Ended:
    """Trains two small experts."""
    return called("experts", "--dicom-dir", source.folder, *FEW, "--out", folder, *more)


def train_denoiser(source: Source, folder: Path, *more: object) -> Ended:
    """Trains a denoiser for a moment."""
    return called("denoiser", "--dicom-dir", source.folder, *BRIEF, "--out", folder, *more)


def draw(source: Source, denoiser: Path, run: Path, *more: object) -> Ended:
    """Runs a small distillation that draws from a denoiser."""
    how = ("--method", "minimax", "--denoiser", denoiser, *DRAWING, "--steps", 4)
    return distill(source, run, *how, *more)


def small_job(source: Source, run: Path, **changed: Any) -> Distill:
    """The job that ``distill`` runs."""
    job = {"method": "dm", "ipc": 3, "width": 4, "steps": 6, "device": "cpu", "out": run}
    return Distill(Studies(source.folder, size=16), **job | changed)


def copied(run: Path, to: Path) -> Path:
    """A copy of a run that a test may spoil."""
    shutil.copytree(run, to)
    return to


def files_of(folder: Path) -> dict[str, Path]:
    """Every file under a folder, by its relative path."""
    return {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def public(run: Path) -> dict[str, str]:
    """Checksum of every file of a run that is not private, but for its history.

    How often others were audited depends on the tests that came before, seconds on the computer.
    """
    return {
        name: hashlib.sha256(_without_history(name, path.read_bytes())).hexdigest()
        for name, path in files_of(run).items()
        if not name.startswith("private/")
    }


def _without_history(name: str, data: bytes) -> bytes:
    if name == "audit.json":
        said = json.loads(data)
        return json.dumps(
            {k: said[k] for k in said if k not in ("audited before", "seal")}
        ).encode()
    if name == "run.json":
        return json.dumps({k: v for k, v in json.loads(data).items() if k != "stages"}).encode()
    if name == "report.html":
        return re.sub(rb"Audited before: [^<]*", b"", data)
    return data


def tree(folder: Path) -> list[tuple[str, bytes]]:
    """All that is in a folder, to see whether something was changed."""
    if not folder.exists():
        return []
    return [
        (path.relative_to(folder).as_posix(), path.read_bytes() if path.is_file() else b"")
        for path in sorted(folder.rglob("*"))
    ]


def traces(source: Source) -> Iterator[bytes]:
    """What must stand nowhere: identifiers, UIDs, names of files and where the films are."""
    yield MARK.encode()
    for uid in [*source.patient_of, *source.instances]:
        yield uid.encode()
    yield str(source.folder).encode()
    yield str(source.folder.parent).encode()
    for path in source.folder.rglob("*.dcm"):
        yield path.relative_to(source.folder).as_posix().encode()


def found_in(texts: Iterable[tuple[str, bytes]], wanted: Iterable[bytes]) -> list[tuple[str, str]]:
    """Where one of ``wanted`` stands, as UTF-8 or UTF-16, in names or contents."""
    looked_for = list(wanted)
    hits: list[tuple[str, str]] = []
    for name, data in texts:
        folded = name.encode() + b"\0" + data
        narrow = folded.replace(b"\0", b"")
        hits += [(name, one.decode()) for one in looked_for if one in folded or one in narrow]
    return hits


@contextlib.contextmanager
def forgotten() -> Iterator[None]:
    """Puts the ledger back to what it was before the body."""
    ledger, count = home() / "ledger", home() / "entries"
    before = {path: path.read_bytes() for path in (*ledger.glob("*.json"), count) if path.exists()}
    yield
    shutil.rmtree(ledger, ignore_errors=True)
    count.unlink(missing_ok=True)
    for path, data in before.items():
        write(path, data)
