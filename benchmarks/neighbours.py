"""Tries to tell two neighbouring cohorts apart by what leaves the hospital under a guarantee.

    python benchmarks/neighbours.py --epsilon 10 --runs 150

Two folders of DICOM are made of the sample data. They are the same, but one has one patient more:
20 films of both classes, half black and half white. ``medidd distill`` and ``medidd export`` are
run many times on both, in this process, each time with an empty ledger and the same key. The
attacker knows both cohorts and the method, and looks at every file of every bundle:

- Texts must be the same in both worlds, but for hashes and UIDs, which follow from the images.
- All numbers of all files go to classifiers. Some are trained on half of the runs and judged on the
  other half, one on ``--simulated`` releases that the attacker makes himself.
- The noisy answers do not leave. The best test on them shows how strong an attack can be.

Films are read once per world. Trainings of recipients are shortened: their figures do not leave.
The policy of the export names few audits: with so few patients none decides anything.
"""

import contextlib
import csv
import os
import re
import shutil
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import click
import numpy as np
import pydicom
import torch
from numpy.typing import NDArray
from safetensors.torch import load
from scipy.stats import norm
from torch import Tensor

import pipelines.commands.audit
import pipelines.evaluation.recipients
import pipelines.evaluation.utility
from medidd.data import NORMALIZATION
from medidd.distill import distill as learned
from medidd.experts.teachers import TEACHING
from pipelines.commands import distill, export
from pipelines.learning.asking import CLIP, PHANTOMS
from pipelines.learning.opened_run import OpenedRun, open_run
from pipelines.run.budget import Budget
from pipelines.run.films import Studies
from pipelines.run.installation import HOME, check_value, harden
from pipelines.run.release_file import quantized
from pipelines.run.seeds import generator
from pipelines.run.store import Run, write_json
from privacy.dp.mechanism import GRID, PatientGaussian
from privacy.dp.phantoms import phantoms
from privacy.dp.source import PrivateSource
from privacy.policy import Level, load_policy
from privacy.statistics.scores import AucBounds, Scores, auc

SAMPLE = Path(__file__).parents[1] / "sample_data"
KEY = "5b" * 32
OUTLIER = "MORE-1"  # the coin of this key makes this patient a member
PATIENTS, FILMS = 30, 20  # of the smaller cohort, and of the patient more
COLUMNS = ("AUC, 95 % interval", "at most", "caught at 5 %", "at most", "seconds")
AUDITS = ("G3", "G4", "G5", "G6", "G8", "A3")
Array = NDArray[np.float64]


class Exact(PatientGaussian):
    """The mechanism without its noise: what an attacker computes who knows a cohort."""

    def release(
        self, patients: Iterable[Any], vector: Callable[[Any], Tensor], size: int
    ) -> Tensor:
        """Returns the sum of clipped vectors over q n."""
        total = sum((self.clipped(vector(one)) for one in patients), torch.zeros(size).double())
        return total * (GRID * self.clip / self.divisor)


class Bundle(NamedTuple):
    """Texts of its files, without hashes and numbers; all numbers, levels first; and the answer."""

    texts: dict[str, str]
    numbers: Array
    answer: Array


def cohort(folder: Path, patients: int, films: int) -> Studies:
    """Writes a cohort of so many patients, and one more with ``films``, if above 0."""
    with (SAMPLE / "labels.csv").open() as file:
        label_of = {row["StudyInstanceUID"]: row["label"] for row in csv.DictReader(file)}
    kept: dict[str, str] = {}
    for number in map(str, range(1, patients + 1)):
        for path in (SAMPLE / "studies" / number).rglob("*.dcm"):
            study = pydicom.dcmread(path, stop_before_pixels=True).StudyInstanceUID
            kept[study] = label_of[study]
        shutil.copytree(SAMPLE / "studies" / number, folder / "studies" / number)
    film = pydicom.dcmread(next((SAMPLE / "studies" / "1").rglob("*.dcm")))
    film.decompress()
    film.PatientID, film.PhotometricInterpretation = OUTLIER, "MONOCHROME2"
    for keyword in ("WindowCenter", "WindowWidth", "RescaleSlope", "RescaleIntercept"):
        film.pop(keyword, None)
    pixels = np.zeros((film.Rows, film.Columns), "<u2")
    pixels[:, film.Columns // 2 :] = 4095
    for number in range(films):
        film.StudyInstanceUID, film.SOPInstanceUID = f"2.25.1{number}", f"2.25.2{number}"
        film.file_meta.MediaStorageSOPInstanceUID = film.SOPInstanceUID
        pixels[:8, :8] = 50 * number  # no two films are equal
        film.PixelData = pixels.tobytes()
        film.save_as(folder / "studies" / f"{number}.dcm", enforce_file_format=True)
        kept[film.StudyInstanceUID] = sorted(set(label_of.values()))[number % 10 == 9]
    rows = "".join(f"{study},{label}\n" for study, label in sorted(kept.items()))
    (folder / "labels.csv").write_text(f"StudyInstanceUID,label\n{rows}")
    return Studies(folder / "studies", size=16)


def empty_ledger() -> None:
    """Lets the installation forget what was spent."""
    shutil.rmtree(Path(os.environ[HOME]) / "ledger", ignore_errors=True)
    (Path(os.environ[HOME]) / "entries").unlink(missing_ok=True)


def rewritten(run: Run, made: distill.Distill) -> None:
    """Gives a run another job."""
    write_json(run.job, {"job": made.frozen().to_json(), "key": check_value()})


def bundle(made: distill.Distill, films: Run, place: Path) -> Bundle:
    """Distils and exports once, with an empty ledger, on films that were read before."""
    empty_ledger()
    shutil.rmtree(place, ignore_errors=True)
    run = Run(place / "run")
    for name in ("private/cohort", "private/worth"):
        shutil.copytree(films.path / name, run.path / name)
    shutil.copy(films.path / "private/ledger.json", run.path / "private/ledger.json")
    rewritten(run, made)
    deque(distill.run(replace(made, out=run.path, resume=True)), maxlen=0)
    deque(export.run(export.Export(run.path, place / "out", dicom=True)), maxlen=0)
    (answer,) = run.answers.iterdir()  # moments asks once
    found = sorted(path for path in (place / "out").rglob("*") if path.is_file())
    leaving = {path.relative_to(place / "out").as_posix(): path for path in found}
    return Bundle(*read(leaving), np.load(answer))


def read(leaving: dict[str, Path]) -> tuple[dict[str, str], Array]:
    """Returns texts and numbers of all files."""
    tensors = load(leaving["synthetic.safetensors"].read_bytes())
    texts = {"": " ".join(leaving)}
    numbers = [tensors[name].double().flatten().numpy() for name in ("images", "labels")]
    for name, path in leaving.items():
        data, kind = path.read_bytes(), path.suffix
        if kind == ".safetensors":
            text = data[: 8 + int.from_bytes(data[:8], "little")].decode("latin-1")
        elif kind == ".dcm":
            film = pydicom.dcmread(path)
            del film.PixelData  # the levels, which an export compares
            del film.file_meta.FileMetaInformationGroupLength  # that of UIDs, which are hashes
            text = f"{film.file_meta}\n{film}"
        elif kind == ".png":
            text = data[:33].hex()  # size and depth
        else:
            text = re.sub(r"(?<=,)-?[01]\.\d{3}\b" if kind == ".csv" else "$^", "#", data.decode())
        texts[name] = re.sub(r"\b[0-9a-f]{64}\b|\b2\.25\.\d+", "#", text)
        words = len(re.findall(r"\w+", text))
        numbers.append(np.array([len(data), words, path.stat().st_mode], float))
    return texts, np.concatenate(numbers)


def exact(world: OpenedRun, budget: Budget, given: Tensor | None = None) -> PrivateSource:
    """Returns a source that answers without noise, or with what is given."""
    films, classes = world.patients.members, world.recipe.classes
    mechanism = Exact(budget.series(world.recipe.releases), budget.patients, CLIP)
    public = NORMALIZATION.standardize(phantoms(PHANTOMS, films.images.shape[-1]))
    images = NORMALIZATION.standardize(films.images)
    source = PrivateSource(images, films.labels, films.patients, classes, mechanism, public)
    if given is not None:
        source._answers.append(given, 0)
    return source


def compared(bundles: list[list[Bundle]]) -> str:
    """Returns which texts differ from those of the first bundle, how often, in which world."""
    first = bundles[0][0].texts
    unlike = Counter(
        f"{name} in world {number}"
        for number, world in enumerate(bundles)
        for one in world
        for name, _ in first.items() ^ one.texts.items()
    )
    return f"{len(first) - 1} files; texts that differ: {dict(unlike) or 'none'}\n"


def released(world: OpenedRun, source: PrivateSource) -> Array:
    """Returns the levels of the release that follows from the answers of a source."""
    recipe, rng = world.recipe, generator(world.frozen.seed)
    synthetic = recipe.begun(torch.zeros(2, 1, 16, 16), torch.arange(2), rng)
    deque(learned(recipe.method, synthetic, source, steps=recipe.steps, rng=rng), maxlen=0)
    return quantized(synthetic, {}).levels.double().flatten().numpy()


def direction(*rows: Array, share: float) -> Array:
    """Returns the direction of linear discriminant analysis with a ridge, from both worlds."""
    apart = rows[1].mean(0) - rows[0].mean(0)
    centred = np.concatenate([one - one.mean(0) for one in rows])
    # In the space of the rows, which may be fewer than the numbers.
    gram = centred @ centred.T / len(centred)
    ridge = share * np.trace(gram) / len(gram)
    inside = np.linalg.solve(gram + ridge * np.eye(len(gram)), centred @ apart) / len(centred)
    return np.asarray((apart - centred.T @ inside) / ridge)


def told(mu: float, without: Array, more: Array) -> str:
    """Returns cells of the table: how well scores of both worlds tell them apart."""
    scores = Scores(torch.from_numpy(more), torch.from_numpy(without))
    bounds = AucBounds(scores, generator(0, "bounds"))
    caught = float((more > np.quantile(without, 0.95)).mean())
    low, high = bounds.low(0.975), bounds.high(0.975)
    most = f"{norm.cdf(mu / 2**0.5):.3f} | {caught:.0%} | {norm.cdf(mu + norm.ppf(0.05)):.0%}"
    return f"{auc(scores):.3f} ({low:.3f} to {high:.3f}) | {most}"


@click.command()
@click.option("--epsilon", "epsilons", type=float, multiple=True, default=(10.0,))
@click.option(
    "--runs", type=click.IntRange(8), default=150, help="Of distill and export, in each world."
)
@click.option("--simulated", default=1500, help="Releases that the attacker makes, in each world.")
def main(epsilons: tuple[float, ...], runs: int, simulated: int) -> None:
    """Prints a table, and every difference of texts."""
    harden()
    brief = replace(pipelines.evaluation.utility.RECIPIENT, steps=4)
    pipelines.evaluation.utility.RECIPIENT = pipelines.evaluation.recipients.RECIPIENT = brief
    pipelines.evaluation.utility.TEACHING = replace(TEACHING, steps=4)
    distill.networks_ahead = lambda *_: contextlib.nullcontext()
    with TemporaryDirectory() as name:
        root = Path(name)
        os.environ[HOME] = str(root)
        (root / "key").write_text(KEY)
        own = load_policy()
        few = own.model_copy(update={"required": own.required | {Level.STANDARD: AUDITS}})
        # No file can be a policy below the floor.
        pipelines.commands.audit.read_policy = export.read_policy = lambda _: few
        worlds = [cohort(root / str(w), PATIENTS, FILMS * w) for w in (0, 1)]
        for epsilon in epsilons:
            attacked(root, worlds, Budget(epsilon), runs, simulated)


def attacked(root: Path, worlds: list[Studies], budget: Budget, runs: int, simulated: int) -> None:
    """Attacks one guarantee."""
    begun, mu = time.monotonic(), budget.series(1).mu
    jobs, known, answers = [], [], []
    for number, studies in enumerate(worlds):
        run = Run(root / f"films{number}")
        job = distill.Distill(studies, ipc=2, width=4, device="cpu", out=run.path, budget=budget)
        if not run.job.exists():
            empty_ledger()
            deque(distill.run(job), maxlen=0)
        rewritten(run, job)
        jobs.append((job, run))
        known.append(open_run(run))
        source = exact(known[-1], budget)
        released(known[-1], source)  # asks
        answers.append(source._answers[0])
    before, after = (dict(world.patients.roles) for world in known)
    assert after == before | dict.fromkeys(after.keys() - before, "member"), "a role has moved"
    apart = (answers[1] - answers[0]).numpy()
    noise = exact(known[0], budget)._mechanism.noise
    reach = np.linalg.norm(apart) / noise
    click.echo(f"\nepsilon {budget.epsilon:g}: mu {mu:.3f}; this patient reaches {reach:.3f}\n")

    bundles: list[list[Bundle]] = [[], []]
    for _ in range(runs):
        for released_, (job, run) in zip(bundles, jobs, strict=True):
            released_.append(bundle(job, run, root / "one"))
    click.echo(compared(bundles))
    click.echo(f"| attack | {' | '.join(COLUMNS)} |\n" + "|---" * 6 + "|")

    def report(name: str, rows: Iterable[Array]) -> None:
        click.echo(f"| {name} | {told(mu, *rows)} | {time.monotonic() - begun:.0f} |")

    report("answers, best test", (np.array([b.answer @ apart for b in w]) for w in bundles))
    numbers = [np.array([b.numbers for b in world]) for world in bundles]
    levels = [one[:, : 4 * 16 * 16] for one in numbers]
    varying = np.concatenate(numbers).std(0) > 0
    numbers = [one[:, varying] for one in numbers]
    half = runs // 2
    for name, share in (("mean difference", 1e6), ("discriminant", 0.1)):
        way = direction(*(one[:half] for one in numbers), share=share)
        report(f"bundles, {name}, half of the runs", (one[half:] @ way for one in numbers))
    draws = torch.Generator().manual_seed(0)

    def simulation(world: OpenedRun, answer: Tensor) -> Array:
        spread = noise * torch.randn(len(answer), generator=draws, dtype=answer.dtype)
        return released(world, exact(world, budget, answer + spread))

    made = [
        np.array([simulation(world, answer) for _ in range(simulated)])
        for world, answer in zip(known, answers, strict=True)
    ]
    way = direction(*made, share=1e-3)
    report(f"bundles, discriminant, {simulated} simulated", (one @ way for one in levels))


if __name__ == "__main__":
    main()
