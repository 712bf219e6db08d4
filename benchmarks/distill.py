"""What methods give in which time on a cohort: one line of JSON per method and seed.

    python benchmarks/distill.py --dicom-dir cohort/studies --labels cohort/labels.csv \
        --method dm --method soft-label --seed 0 --seed 1 --ipc 3

Calls the command a user calls, in a fresh process each, and reports its own summary with the
process seconds. Any further options after ``--`` are handed to medidd distill.
"""

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import click


@click.command()
@click.option("--dicom-dir", required=True)
@click.option("--labels")
@click.option("--method", "methods", multiple=True, default=("dm", "soft-label"))
@click.option("--seed", "seeds", multiple=True, type=int, default=(0,))
@click.option("--ipc", type=int, default=3)
@click.argument("further", nargs=-1)
def main(
    dicom_dir: str,
    labels: str | None,
    methods: tuple[str, ...],
    seeds: tuple[int, ...],
    ipc: int,
    further: tuple[str, ...],
) -> None:
    """Runs medidd distill for each method and seed."""
    table = [] if labels is None else ["--labels", labels]
    for method in methods:
        for seed in seeds:
            with tempfile.TemporaryDirectory() as folder:
                options = ["--method", method, "--seed", str(seed), "--ipc", str(ipc), *table]
                command = ["distill", "--dicom-dir", dicom_dir, *options, *further]
                run = ["--json", "--out", str(Path(folder) / "run")]
                before = _children()
                found = subprocess.run(
                    [sys.executable, "-m", "pipelines.cli.main", *command, *run],
                    capture_output=True,
                    text=True,
                    check=True,
                )
                click.echo(json.dumps(_line(method, seed, json.loads(found.stdout), before)))


def _line(method: str, seed: int, answer: dict, before: float) -> dict:
    auc = {row: round(values["auc"]["mean"], 3) for row, values in answer["metrics"].items()}
    return {
        "method": method,
        "seed": seed,
        "auc": auc,
        "interval": [round(answer["metrics"]["synthetic"]["auc"][k], 3) for k in ("low", "high")],
        "screen": answer["audit"]["verdict"],
        "seconds": answer["seconds"],
        "process_seconds": round(_children() - before, 1),
    }


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
