"""Memory of a distillation: what --dry-run announces, and what the command takes.

    python benchmarks/memory.py --size 32 --size 128 --size 224 --to memory.jsonl

Every row is ``medidd distill`` on the sample films, in fresh processes: the command, and the one
that judges the baselines. Trainings and audits are shortened, because a peak does not grow with the
number of steps; batches, networks, films and a method's inner loop are what they are in a run. MiB
resident at most, as Linux tells at the end. "Announced" comes from ``medidd distill --dry-run``,
which does not time its steps here. Rows that stand in the output already are not repeated.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "sample_data" / "studies"
STEPS = 3
COLUMNS = ("command", "second process", "together")


@click.command(help=__doc__)
@click.option("--size", "sizes", type=int, multiple=True, default=(32,), show_default=True)
@click.option("--method", "methods", multiple=True, help="By default all.")
@click.option("--dicom-dir", type=click.Path(path_type=Path), default=SAMPLE)
@click.option("--ipc", type=int, default=3, show_default=True)
@click.option("--to", type=click.Path(path_type=Path), required=True, help="JSON lines.")
def main(
    sizes: tuple[int, ...], methods: tuple[str, ...], dicom_dir: Path, ipc: int, to: Path
) -> None:
    """Measures what is missing, and prints the table."""
    from medidd.methods import METHODS

    for size in sizes:
        for method in methods or METHODS:
            if [method, size] not in [[row["method"], row["size"]] for row in _rows(to)]:
                with tempfile.TemporaryDirectory() as place:
                    row = _measured(method, size, dicom_dir, ipc, Path(place))
                with to.open("a") as file:
                    file.write(json.dumps(row) + "\n")
    click.echo(
        f"| method | px | {' | '.join(f'{of}: true | announced' for of in COLUMNS)} | ratio |"
    )
    click.echo("|---|---|---|---|---|---|---|---|---|")
    for row in _rows(to):
        pairs = [f"{row['true'][of]} | {row['announced'][of]}" for of in COLUMNS]
        ratio = row["announced"]["together"] / row["true"]["together"]
        click.echo(f"| `{row['method']}` | {row['size']} | {' | '.join(pairs)} | {ratio:.2f} |")


def _rows(to: Path) -> list[dict]:
    return [json.loads(line) for line in to.read_text().splitlines()] if to.exists() else []


def _measured(method: str, size: int, dicom_dir: Path, ipc: int, place: Path) -> dict:
    """Returns what one run was said to take and took, MiB."""
    films = ["--dicom-dir", str(dicom_dir), "--size", str(size)]
    more = ["--method", method, "--ipc", str(ipc), "--steps", str(STEPS)]
    if method in ("mtt", "tesla"):
        brief = ["--count", "1", "--epochs", "12", "--epoch-steps", "1", "--batch", "2"]
        _called(place, "experts", *films, *brief, "--epsilon", "none", "--out", str(place / "of"))
        more += ["--experts", str(place / "of")]
    if method == "minimax":
        brief = ["--steps", "1", "--epsilon", "none", "--out", str(place / "of")]
        _called(place, "denoiser", *films, *brief)
        more += ["--denoiser", str(place / "of")]
    asked = [*films, *more, "--epsilon", "none", "--device", "cpu", "--out", str(place / "run")]
    said = json.loads(_called(place, "distill", *asked, "--dry-run", "--json"))["memory_bytes"]
    _called(place, "distill", *asked)
    took = {path.stem: int(path.read_text()) for path in (place / "peaks").iterdir()}
    took["together"] = took["command"] + took["second process"]
    mib = {name: size >> 20 for name, size in said.items()}
    return {
        "method": method,
        "size": size,
        "true": {of: took[of] >> 20 for of in COLUMNS},
        "announced": {of: mib[of] for of in COLUMNS},
    }


def _called(place: Path, *arguments: str) -> str:
    """Runs a command shortened, in a process of its own; returns what it prints."""
    settings = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "MEDIDD_HOME": str(place / "home"),
        "MEDIDD_TRACEBACK": "1",
    }
    ended = subprocess.run(
        [sys.executable, __file__, "shortened", str(place / "peaks"), *arguments],
        env=settings,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise click.ClickException(f"{' '.join(arguments)}: {ended.stderr[-2000:]}")
    return ended.stdout


def _shortened(peaks: Path, *arguments: str) -> None:
    """Runs a command, or judges baselines, with few steps, and notes the peaks."""
    import medidd.denoisers.presets as denoisers
    import pipelines.commands.audit
    import pipelines.commands.distill
    import pipelines.evaluation.networks_ahead
    import pipelines.evaluation.recipients
    import pipelines.evaluation.utility
    import pipelines.planning.dry_run
    import privacy.likeness.clearness
    from medidd.machine.memory import taken
    from pipelines.cli.main import main as medidd

    def note(name: str) -> None:
        (peaks / name).write_text(str(taken()))

    @contextmanager
    def ahead(run: object, _: object) -> Iterator[None]:
        with subprocess.Popen(
            [sys.executable, __file__, "shortened", str(peaks), "baselines", str(run.path)]
        ) as second:
            yield
            if second.wait():
                sys.exit("the second process failed")

    peaks.mkdir(exist_ok=True)
    judging, auditing = pipelines.evaluation.utility, pipelines.commands.audit
    brief = replace(judging.RECIPIENT, steps=STEPS)
    judging.RECIPIENT = pipelines.evaluation.recipients.RECIPIENT = brief
    judging.TEACHING = replace(judging.TEACHING, steps=STEPS)
    judging.NETWORKS = 1
    denoisers._ENCODINGS = {
        name: replace(how, steps=1) for name, how in denoisers._ENCODINGS.items()
    }
    auditing.matched = partial(auditing.matched, networks=1)
    privacy.likeness.clearness.STRANGERS = 60
    if arguments[0] == "baselines":
        pipelines.evaluation.networks_ahead.main(Path(arguments[1]), os.getppid(), "convnet")
        note("second process")
        return
    pipelines.commands.distill.networks_ahead = ahead
    if "--dry-run" in arguments:  # a step is not timed here
        pipelines.planning.dry_run.seconds_per_step = lambda *_: 0.0
        pipelines.planning.dry_run.trained = lambda *_: 0.0
    medidd(list(arguments))
    note("command")


if __name__ == "__main__":
    if sys.argv[1:2] == ["shortened"]:
        _shortened(Path(sys.argv[2]), *sys.argv[3:])
    else:
        main()
