"""What the tables of a cohort take of this computer's memory, with invented rows.

python -m benchmarks.tables --rows 100000
"""

import json
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import numpy as np

Result = TypeVar("Result")


def held(rows: int) -> dict[str, tuple[float, float]]:
    """Returns bytes and microseconds per film of the tables of a cohort, with invented rows.

    The bytes are what each step adds and keeps; of the last row, the most of all steps together.
    The clock runs with a tracer of memory, which makes Python some three times as slow.
    """
    from medidd.dicom.folder.cohort import Cohort
    from medidd.dicom.folder.duplicates import once
    from medidd.dicom.folder.patients import whose
    from pipelines.run.ledger import Entry
    from privacy.finding import Verdict

    found: dict[str, tuple[float, float]] = {}

    def noted(what: str, work: Callable[[], Result]) -> Result:
        before, begun = tracemalloc.get_traced_memory()[0], time.perf_counter()
        result = work()
        seconds = time.perf_counter() - begun
        kept = tracemalloc.get_traced_memory()[0] - before
        found[what] = (kept / rows, seconds / rows * 1e6)
        return result

    with tempfile.TemporaryDirectory() as folder:
        write_cohort(Path(folder), rows)
        tracemalloc.start()
        evidence, films = noted("films and evidence", lambda: looked_at(rows))
        noted("whose films they are", lambda: whose(evidence, "patient"))
        kept, _ = noted("each film once", lambda: once(films))
        names = tuple(sorted({name for film in kept for name in film.names}))
        entry = Entry(
            kind="audit", release="", people=names, verdict=Verdict.INCONCLUSIVE, level="screen"
        )
        text = noted("an entry of the ledger", entry.model_dump_json)
        noted("that entry, read", lambda: Entry.model_validate_json(text))
        cohort = noted("a cohort, opened", lambda: Cohort.open(Path(folder)))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    if len(cohort.labels) != rows:
        raise RuntimeError("the cohort has not all rows")
    return found | {"the most at once": (peak / rows, 0.0)}


def looked_at(rows: int) -> tuple[list[Any], list[Any]]:
    """Returns what is kept of so many invented headers, five films of two patients."""
    from medidd.dicom.folder.duplicates import Film
    from medidd.dicom.folder.evidence import Evidence
    from medidd.dicom.source import Source

    def hashed(what: str, number: int) -> str:
        return sys.intern(f"{what}{number:015x}")

    traits = {"sex": "F", "age": "60-69", "device": "0123abcd"}
    evidence, films = [], []
    for n in range(rows):
        person, study, image = hashed("a", n * 2 // 5), hashed("b", n // 2), hashed("c", n)
        one = Evidence(person, person, "", study)
        evidence.append(one)
        place = Source(Path(f"/films/{n // 1000:04}/{n:07}.dcm"))
        names, label = (person, study, image), "ab"[n % 2]
        uid = f"1.2.826.0.1.3680043.8.498.{n:036}"
        films.append(Film(place, (n, n), uid, person, person, label, "", names, one, traits))
    return evidence, films


def write_cohort(folder: Path, rows: int) -> None:
    """Writes a cohort of so many invented films of one pixel."""
    from medidd.dicom.folder.plan import VERSION
    from medidd.dicom.storage import COHORT, FILMS, IMAGES, TOKENS

    np.save(folder / IMAGES, np.zeros((rows, 1, 1), np.uint16))
    traits = {"sex": "F", "age": "60-69", "device": "0123abcd"}
    with (folder / FILMS).open("w") as file:
        for n in range(rows):
            names = [f"a{n * 2 // 5:015x}", f"b{n // 2:015x}", f"c{n:015x}"]
            row = {"patient": names[0], "label": n % 2, "split": "", "names": names}
            file.write(json.dumps(row | traits) + "\n")
    (folder / TOKENS).write_text("".join(f"{n:016x}\n" for n in range(3 * rows)))
    about = {"version": VERSION, "size": 1, "classes": ["a", "b"], "refused": {}, "warned": {}}
    about |= {"unit": "patient", "patient_id_missing": 0, "evidence": {}}
    (folder / COHORT).write_text(json.dumps(about))


@click.command(help=__doc__)
@click.option("--rows", type=int, default=100_000, show_default=True, help="Invented films.")
def main(rows: int) -> None:
    """Measures, and prints a table."""
    for what, (size, micros) in held(rows).items():
        click.echo(f"{what:<24}{size:>8,.0f} bytes{micros:>8,.1f} microseconds per film")


if __name__ == "__main__":
    main()
