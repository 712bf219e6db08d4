"""What ingest makes of files that nobody wrote: damaged in every way that disks and networks know.

    python benchmarks/fuzz.py --films sample_data/studies --films dicom-zoo --files 10000

Damages films at random, reads each as ``medidd ingest`` does, in processes that may die, and counts
how they end: as a film, or as one reason. Nothing may crash the run, hang it, or end in any other
way. Prints the counts and the largest memory of any process. The same seed damages alike.
"""

import resource
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np

from medidd.dicom.errors import REASONS
from medidd.dicom.isolation import Lost, isolated
from medidd.dicom.pixels.film import Shown, decoded
from medidd.dicom.reading import DEFAULT
from medidd.dicom.refusals import Refusal
from medidd.dicom.source import Source

Random = np.random.Generator

SYNTAXES = [
    *(b"1.2.840.10008.1.2", b"1.2.840.10008.1.2.1", b"1.2.840.10008.1.2.1.99"),
    *(b"1.2.840.10008.1.2.2", b"1.2.840.10008.1.2.4.50", b"1.2.840.10008.1.2.4.51"),
    *(b"1.2.840.10008.1.2.4.57", b"1.2.840.10008.1.2.4.70", b"1.2.840.10008.1.2.4.80"),
    *(b"1.2.840.10008.1.2.4.81", b"1.2.840.10008.1.2.4.90", b"1.2.840.10008.1.2.4.91"),
    *(b"1.2.840.10008.1.2.4.201", b"1.2.840.10008.1.2.5", b"1.2.840.10008.1.2.4.110"),
]
SIZES = {
    "rows": b"\x28\x00\x10\x00US\x02\x00",
    "columns": b"\x28\x00\x11\x00US\x02\x00",
    "bits allocated": b"\x28\x00\x00\x01US\x02\x00",
    "bits stored": b"\x28\x00\x01\x01US\x02\x00",
    "samples": b"\x28\x00\x02\x00US\x02\x00",
}


def flipped(data: bytearray, rng: Random) -> None:
    """Changes up to 20 bytes anywhere."""
    for place in rng.integers(0, len(data), rng.integers(1, 21)):
        data[place] = rng.integers(256)


def flipped_in_the_header(data: bytearray, rng: Random) -> None:
    """Changes up to 10 of the first 2,000 bytes."""
    for place in rng.integers(128, min(len(data), 2000), rng.integers(1, 11)):
        data[place] = rng.integers(256)


def cut(data: bytearray, rng: Random) -> None:
    """Loses the tail."""
    del data[rng.integers(1, len(data)) :]


def holed(data: bytearray, rng: Random) -> None:
    """Loses a stretch in the middle, or has one filled with zeros, as a bad sector is."""
    start = int(rng.integers(132, len(data)))
    length = int(rng.integers(1, 4096))
    data[start : start + length] = bytes(length if rng.integers(2) else 0)


def other_length(data: bytearray, rng: Random) -> None:
    """Claims another length of some element."""
    starts = [i for i in range(132, min(len(data) - 8, 3000)) if data[i + 4 : i + 6].isalpha()]
    if starts:
        place = int(rng.choice(starts)) + 6
        length = int(rng.choice([0, 1, 3, 0x7FFF, 0xFFFE, 0xFFFF]))
        data[place : place + 2] = length.to_bytes(2, "little")


def other_syntax(data: bytearray, rng: Random) -> None:
    """Claims another transfer syntax, of the same length or padded."""
    place = data.find(b"\x02\x00\x10\x00UI")
    if place >= 0:
        length = int.from_bytes(data[place + 6 : place + 8], "little")
        fitting = [one for one in SYNTAXES if len(one) <= length]
        if fitting:
            chosen = fitting[int(rng.integers(len(fitting)))]
            data[place + 8 : place + 8 + length] = chosen.ljust(length, b"\0")


def absurd_size(data: bytearray, rng: Random) -> None:
    """Claims another number of rows, columns, bits or samples."""
    for mark in SIZES.values():
        place = data.find(mark)
        if place >= 0 and rng.integers(2):
            value = int(rng.choice([0, 1, 7, 13, 64, 255, 4095, 32767, 65535]))
            data[place + 8 : place + 10] = value.to_bytes(2, "little")


def doubled(data: bytearray, rng: Random) -> None:
    """Has a stretch twice."""
    start = int(rng.integers(132, len(data)))
    data[start:start] = data[start : start + int(rng.integers(1, 2000))]


DAMAGES = [
    *(flipped, flipped_in_the_header, cut, holed, other_length, other_syntax, absurd_size, doubled)
]


def damaged(originals: list[bytes], count: int, seed: int, room: Path) -> Iterator[Source]:
    """Writes damaged files, each to be deleted by whoever has read it."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        data = bytearray(originals[int(rng.integers(len(originals)))])
        for _ in range(int(rng.integers(1, 3))):
            if len(data) > 200:
                DAMAGES[int(rng.integers(len(DAMAGES)))](data, rng)
        path = room / f"{number}"
        path.write_bytes(data)
        yield Source(path)


def read(source: Source) -> tuple[Shown | Refusal, int]:
    """Returns what ingest makes of a file, and the most memory its process has taken, KiB."""
    found = decoded(source, size=32, reading=DEFAULT)
    return found, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def fuzzed(originals: list[bytes], count: int, seed: int) -> tuple[Counter[str], int]:
    """Returns how damaged files end, "film" or a reason code, and the most memory taken, KiB.

    Raises:
        AssertionError: one ended in another way, or not at all.
    """
    ends: Counter[str] = Counter()
    most = 0
    with tempfile.TemporaryDirectory() as room:
        for source, answer in isolated(read, damaged(originals, count, seed, Path(room))):
            source.path.unlink()
            found, memory = (answer, 0) if isinstance(answer, Lost) else answer
            most = max(most, memory)
            if isinstance(found, Shown):
                assert found.levels.shape == (32, 32)
                ends["film"] += 1
            else:
                assert found.code in REASONS
                ends[found.code] += 1
    assert ends.total() == count
    return ends, most


@click.command()
@click.option("--films", "folders", type=click.Path(exists=True, path_type=Path), multiple=True)
@click.option("--files", type=int, default=10_000)
@click.option("--largest", type=int, default=400_000, help="Bytes of the largest film damaged.")
@click.option("--seed", type=int, default=0)
def main(folders: tuple[Path, ...], files: int, largest: int, seed: int) -> None:
    """Damages, reads and counts."""
    paths = sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())
    originals = [path.read_bytes() for path in paths if 200 < path.stat().st_size <= largest]
    ends, most = fuzzed(originals, files, seed)
    click.echo(f"{len(originals)} originals, {files} damaged files, seed {seed}\n")
    click.echo("| end | files |\n|---|---|")
    for end, times in ends.most_common():
        click.echo(f"| {end} | {times} |")
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    click.echo(
        f"\nlargest memory: {own / 1024:.0f} MiB here, {most / 1024:.0f} where films are read"
    )


if __name__ == "__main__":
    main()
