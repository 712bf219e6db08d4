"""What the ingest of a large folder takes, end to end: time, and memory by the number of films.

    python benchmarks/ingest.py --films 1000 --films 10000 --films 100000

Draws that many films of 64 x 64 pixels and 12 bits of nobody, two a patient, one folder a class,
and runs ``medidd ingest`` on them. Memory is the largest of the command's own process and the
largest of those that read films, without pages of files, which the system drops where it needs
the room. The films of the largest folder take some 1.2 GB of the disk.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import numpy as np
from decoding import film
from pydicom.filewriter import dcmwrite

SIDE = 64
_MEMORY = "RssAnon:"


def draw(root: Path, count: int) -> None:
    """Writes films of nobody: gray noise, brighter in the second class."""
    rng = np.random.default_rng(0)
    made = film(np.zeros((SIDE, SIDE), np.uint16))
    for number in range(count):
        label = number // 2 % 2
        stored = rng.integers(0, 2000 + 1000 * label, (SIDE, SIDE)).astype(np.uint16)
        made.PixelData = stored.tobytes()
        made.PatientID = f"P{number // 2:06}"
        made.StudyInstanceUID = f"2.25.1{number // 2:030}"
        made.SOPInstanceUID = f"2.25.2{number:030}"
        made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
        folder = root / f"class {label}" / f"{number // 1000:03}"
        folder.mkdir(parents=True, exist_ok=True)
        dcmwrite(folder / f"{number:06}.dcm", made, enforce_file_format=True)


def ended(command: list[str], home: Path) -> tuple[float, int, int]:
    """Runs a command; returns seconds, and KiB of its process and of the largest it began."""
    begun = time.perf_counter()
    own, others = 0, 0
    settings = {**os.environ, "MEDIDD_HOME": str(home)}
    with subprocess.Popen(command, env=settings, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            own = max(own, *_largest([process.pid]))
            others = max(others, *_largest(_below(process.pid)))
            time.sleep(0.1)
        if process.returncode:
            raise click.ClickException(f"medidd ended with {process.returncode}")
    return time.perf_counter() - begun, own, others


def _below(parent: int) -> list[int]:
    """Returns the processes that a process began, and theirs."""
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text()
        except OSError:
            continue
        parents.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(folder.name))
    found, todo = [], [parent]
    while todo:
        children = parents.get(todo.pop(), [])
        found += children
        todo += children
    return found


def _largest(processes: list[int]) -> list[int]:
    """Returns what each takes now, KiB; 0 before all."""
    found = [0]
    for process in processes:
        try:
            lines = Path(f"/proc/{process}/status").read_text().splitlines()
        except OSError:
            continue
        found += [int(line.split()[1]) for line in lines if line.startswith(_MEMORY)]
    return found


@click.command(help=__doc__)
@click.option(
    "--films", "counts", type=int, multiple=True, default=(1000, 10000), show_default=True
)
@click.option("--size", type=int, default=32, show_default=True)
def main(counts: tuple[int, ...], size: int) -> None:
    """Prints a table."""
    click.echo("| films | seconds | films per second | MiB | MiB of a reader |")
    click.echo("|---|---|---|---|---|")
    for count in counts:
        with tempfile.TemporaryDirectory() as place:
            draw(Path(place) / "films", count)
            command = [sys.executable, "-m", "pipelines.cli.main", "ingest"]
            command += ["--dicom-dir", str(Path(place) / "films"), "--size", str(size)]
            command += ["--out", str(Path(place) / "cohort")]
            seconds, own, others = ended(command, Path(place) / "home")
        click.echo(
            f"| {count} | {seconds:.0f} | {count / seconds:.0f} | "
            f"{own / 1024:.0f} | {others / 1024:.0f} |"
        )


if __name__ == "__main__":
    main()
