"""What the audits say of releases whose leak is known, beside those that deserve an answer.

    python benchmarks/verdicts.py --dicom-dir studies --labels labels.csv --to verdicts

Makes each run with ``medidd distill``, audits it with ``medidd audit`` at every ``--level``, and
prints one Markdown row each. One row is a lie: the run began as noise and says so, but one of its
images was replaced by a patient's film. What was made already is made no second time.
"""

import contextlib
import io
import json
import shutil
import time
from dataclasses import replace
from pathlib import Path

import click
import torch

from pipelines.cli.main import main as medidd
from pipelines.learning.opened_run import open_run
from pipelines.run.installation import key
from pipelines.run.release_file import LEVELS, read_release, write_release
from pipelines.run.store import Run, read_json

RUNS: dict[str, tuple[str, ...]] = {
    "noise": ("--method", "noise"),
    "random": ("--method", "random"),
    "dm, start random": ("--method", "dm", "--start", "random"),
    "dm": ("--method", "dm"),
    "soft-label": ("--method", "soft-label"),
}
PLANTED = "noise, one film planted"


@click.command()
@click.option("--dicom-dir", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--labels", type=click.Path(exists=True, path_type=Path))
@click.option("--to", type=click.Path(path_type=Path), required=True, help="Folder of the runs.")
@click.option("--ipc", type=int, default=3)
@click.option("--size", type=int, default=32)
@click.option("--seed", type=int, default=0, help="Of the runs: another one draws other controls.")
@click.option("--level", "levels", multiple=True, default=("screen", "standard"))
@click.option("--only", multiple=True, type=click.Choice([*RUNS, PLANTED]))
def main(
    dicom_dir: Path,
    labels: Path | None,
    to: Path,
    ipc: int,
    size: int,
    seed: int,
    levels: tuple[str, ...],
    only: tuple[str, ...],
) -> None:
    """Makes, audits and prints."""
    films = ["--dicom-dir", dicom_dir, *(["--labels", labels] if labels else [])]
    shape = ["--ipc", ipc, "--size", size, "--seed", seed]
    chosen = only or (*RUNS, PLANTED)
    click.echo("| release | level | verdict | findings | seconds |\n|---|---|---|---|---|")
    for name in chosen:
        run = to / f"{name.replace(', ', '-').replace(' ', '-')}{f'-{seed}' if seed else ''}"
        recipe = RUNS["noise" if name == PLANTED else name]
        if not (run / "report.html").exists():
            called("distill", *films, *shape, *recipe, "--out", run)
            if name == PLANTED:
                plant(Run(run))
        for level in levels:
            start = time.process_time()
            called("audit", run, "--level", level)
            seconds = time.process_time() - start
            click.echo(row(name, read_json(run / "audit.json"), seconds))


def called(*arguments: object) -> None:
    """Runs a command; one that refuses is an answer, too."""
    words = [str(argument) for argument in arguments]
    if words[0] == "distill" and Path(words[-1]).exists():
        words.append("--resume")
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        medidd(words)


def plant(run: Run) -> None:
    """Replaces the first image of a release by a film of its first class."""
    key()
    members = open_run(run).patients.members
    film = members.images[int((members.labels == 0).nonzero()[0])]
    release = read_release(run)
    levels = release.levels.to(torch.int32)
    levels[0] = (film * LEVELS).round().to(torch.int32)
    shutil.rmtree(run.previews)
    write_release(run, replace(release, levels=levels.to(torch.uint8)))


def row(name: str, audit: dict[str, object], seconds: float) -> str:
    """Returns the Markdown row of one audit."""
    findings = json.loads(json.dumps(audit["findings"]))
    said = "; ".join(
        f"{f['audit']} {f['verdict']}"
        + (f" {f['value']:.3g}" if f["value"] is not None else "")
        + (f" (to {f['high']:.3f})" if f["p_limit"] is not None else "")
        for f in findings
    )
    return f"| {name} | {audit['level']} | **{audit['verdict']}** | {said} | {seconds:.0f} |"


if __name__ == "__main__":
    main()
