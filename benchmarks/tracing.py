"""What tracing (A1) finds in real releases, with what a method matches and with embeddings alone.

    python benchmarks/tracing.py --data kermany_pneumonia_128_dev.npz --method dm --method kip

``--data`` holds ``images`` (n, H, W) uint8, ``labels``, ``patient_ids`` and perhaps
``duplicate_of``. Patients of each class (or set of classes) are drawn into members and controls in
equal shares; the release is learned from the members' films, null releases from the controls of all
folds but one. Methods are shortened to what a CPU can do for many releases (``SHORT``).

Prints a Markdown table: AUC of each seed as it is, and once calibrated, with the p-value of that.
Releases are kept in ``--keep``, so that a run that was stopped goes on where it was.
"""

import dataclasses
import hashlib
import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.functional import interpolate

from medidd.data import NORMALIZATION, RealSet
from medidd.distill import Decodes, distill
from medidd.experts.trajectories import Experts, Trajectories
from medidd.fields import make, values
from medidd.machine.allocator import keep_memory
from pipelines.auditing.matched_statistics import MATCHED, embedding, functional_gradient
from pipelines.learning.recipe import recipe
from pipelines.run.release_file import quantized
from pipelines.run.seeds import derived, generator
from privacy import Films, Nulls, Release, folds
from privacy.attacks.tracing import leanings
from privacy.nulls import calibrate
from privacy.statistics.scores import Scores, auc, permutation_p

SHORT: dict[str, dict[str, Any]] = {
    "dd": {"steps": 30, "epochs": 10, "batch": 32, "lr_images": 0.05},
    "soft-label": {
        "steps": 30,
        "horizon": 20,
        "window": 5,
        "batch": 64,
        "lr_images": 0.05,
        "lr_labels": 0.02,
    },
    "dc": {"steps": 40, "inner_steps": 5, "net_epochs": 5, "lr_images": 2.0},
    "dsa": {"steps": 40, "inner_steps": 5, "net_epochs": 5, "lr_images": 2.0},
    "idc": {"steps": 80, "inner_steps": 10, "net_steps": 2, "batch": 32, "lr_images": 2.0},
    "dm": {"steps": 150},
    "mtt": {"steps": 40, "inner_steps": 8, "last_start": 6},
    "tesla": {"steps": 40, "inner_steps": 8, "last_start": 6},
    "kip": {"steps": 150},
    "rfad": {"steps": 60},
    "frepo": {"steps": 60},
}
EXPERTS = {"count": 3, "epochs": 8, "epoch_steps": 6, "batch": 128}

POOLS = {
    "mean": Films.per_patient,
    "max": lambda films, values: values.new_full((len(films.ids),), -torch.inf).scatter_reduce(
        0, films.patient, values, "amax"
    ),
}


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--keep", type=click.Path(path_type=Path), help="Folder of finished releases.")
@click.option("--method", "methods", multiple=True, default=("dm",))
@click.option("--ipc", "ipcs", type=int, multiple=True, default=(10,))
@click.option("--seed", "seeds", type=int, multiple=True, default=(0, 1))
@click.option("--members", type=int, default=200)
@click.option("--controls", type=int, default=200)
@click.option("--nulls", type=int, default=2, help="Null releases, and folds.")
@click.option("--networks", "counts", type=int, multiple=True, default=(20,))
@click.option("--pool", type=click.Choice(sorted(POOLS)), default="mean", help="Of a patient.")
@click.option("--size", type=int, default=32)
@click.option("--width", type=int, default=16)
@click.option("--steps", type=int, help="Instead of those of SHORT.")
def main(data: Path, keep: Path | None, **options: Any) -> None:
    """Makes the releases and attacks them."""
    torch.set_num_threads(1)
    keep_memory()
    films = read(data, options["size"])
    click.echo("| method | ipc | under | networks | AUC | calibrated | p | seconds a network |")
    click.echo("|" + "---|" * 8)
    with TemporaryDirectory() as scratch:
        bench = Bench(films, keep or Path(scratch), options)
        for method in options["methods"]:
            for ipc in options["ipcs"]:
                found = [bench.attacked(method, ipc, seed) for seed in options["seeds"]]
                for under in found[0]:
                    for count in sorted({min(n, found[0][under].most) for n in options["counts"]}):
                        cells = [of[under].cells(count) for of in found]
                        columns = (" / ".join(cell) for cell in zip(*cells, strict=True))
                        row = " | ".join((method, str(ipc), under, str(count), *columns))
                        click.echo(f"| {row} |")


@dataclasses.dataclass(frozen=True)
class Attack:
    """One attack on one release.

    Attributes:
        leaning: how far each release leans towards each film, (networks, releases, n); the null
            releases come after the release.
        releases: those.
        nulls: the null releases, and who is scored on which.
        films: of members and then controls.
        members: patients of them.
        pool: makes one number of a patient's films.
        seconds: of the processor, for each network.
    """

    leaning: Tensor
    releases: tuple[Release, ...]
    nulls: Nulls | None
    films: Films
    members: int
    pool: str
    seconds: float

    @property
    def most(self) -> int:
        """Networks there are."""
        return len(self.leaning)

    def cells(self, count: int) -> tuple[str, str, str, str]:
        """Returns AUC, calibrated AUC, p and cost with the first so many networks."""
        rows = dict(zip(self.releases, self.leaning[:count].mean(0), strict=True))

        def score(release: Release, films: Films) -> Tensor:
            return POOLS[self.pool](films, rows[release])

        raw = self._scores(score(self.releases[0], self.films))
        best = raw
        if self.nulls is not None:
            against = self.nulls.unseen(score, self.films)
            own = score(self.releases[0], self.films)
            best = self._scores(calibrate(own, against, self.films.strata))
        p = permutation_p(best, generator(0))
        return f"{auc(raw):.3f}", f"{auc(best):.3f}", f"{p:.4f}", f"{self.seconds:.2f}"

    def _scores(self, values: Tensor) -> Scores:
        n, strata = self.members, self.films.strata
        return Scores(values[:n], values[n:], strata[:n], strata[n:])


class Bench:
    """One set of films."""

    def __init__(self, films: Films, folder: Path, options: Any) -> None:
        self._films, self._folder, self._options = films, folder, options
        folder.mkdir(parents=True, exist_ok=True)

    def attacked(self, method: str, ipc: int, seed: int) -> dict[str, Attack]:
        """Returns the attacks on one release, by what films are compared under."""
        options = self._options
        inside, outside = drawn(self._films, options["members"], options["controls"], seed)
        nulls, others = None, []
        if options["nulls"]:
            rng, k = generator(seed, "folds"), options["nulls"]
            fold_of = folds(inside, rng, k) | folds(outside, rng, k)
            for fold in range(k):
                kept = outside.of({one for one in outside.ids if fold_of[one] != fold})
                others.append(self._release(method, ipc, derived(seed, "null", fold), kept))
            nulls = Nulls(tuple(others), fold_of)
        releases = (self._release(method, ipc, seed, inside), *others)
        films, how = inside.beside(outside), self._recipe(method, ipc)
        found = {}
        for kind in dict.fromkeys((MATCHED[method], embedding)):
            count = 1 if kind is functional_gradient else max(options["counts"])
            begun = time.process_time()
            rows = [
                leanings(
                    [kind(how, derived(seed, "matched", number), torch.device("cpu"))],
                    releases,
                    films,
                )
                for number in range(count)
            ]
            spent = (time.process_time() - begun) / count
            under = kind.__name__.replace("_", " ")
            found[under] = Attack(
                torch.stack(rows), releases, nulls, films, len(inside.ids), options["pool"], spent
            )
        return found

    def _recipe(self, method: str, ipc: int) -> Any:
        options = self._options
        return recipe(
            method,
            start="noise",
            ipc=ipc,
            settings=SHORT.get(method, {}),
            steps=options["steps"],
            classes=int(self._films.labels.max()) + 1,
            size=options["size"],
            width=options["width"],
        )

    def _release(self, method: str, ipc: int, seed: int, films: Films) -> Release:
        how = self._recipe(method, ipc)
        told = [method, how.fields, EXPERTS, ipc, seed, self._options["width"]]
        digest = hashlib.sha256(json.dumps(told, default=str).encode())
        digest.update(films.images.numpy().tobytes())
        path = self._folder / f"{digest.hexdigest()[:24]}.safetensors"
        if not path.exists():
            rng = torch.Generator().manual_seed(seed)
            x, y = NORMALIZATION.standardize(films.images), films.labels
            with TemporaryDirectory() as folder:
                if hasattr(how.method, "experts"):
                    how = _with_experts(how, Path(folder) / "experts", x, y, seed)
                s = how.begun(x, y, rng)
                if how.method is not None:
                    real = RealSet(x, y, how.classes, rng)
                    for _ in distill(how.method, s, real, steps=how.steps, rng=rng):
                        pass
                    s = how.method.decode(s) if isinstance(how.method, Decodes) else s
            made = quantized(s, {})
            save_file({"images": made.display, "labels": made.labels}, path)
        return Release(**load_file(path))


def _with_experts(how: Any, folder: Path, x: Tensor, y: Tensor, seed: int) -> Any:
    held = values(how.method)
    experts = Experts(held["network"], seed=seed, **EXPERTS)
    for _ in experts.make(folder, lambda _, rng: RealSet(x, y, how.classes, rng), {}, x):
        pass
    trajectories = Trajectories(folder, held["network"], {})
    method = make(type(how.method), held | {"experts": trajectories})
    return dataclasses.replace(how, method=method)


def read(path: Path, size: int) -> Films:
    """Returns the films, known duplicates left out."""
    with np.load(path) as held:
        keep = held["duplicate_of"] < 0 if "duplicate_of" in held else slice(None)
        images = torch.from_numpy(held["images"][keep]).float()[:, None] / 255
        labels = torch.from_numpy(held["labels"][keep].astype("int64"))
        patients = held["patient_ids"][keep].tolist()
    if images.shape[-1] != size:
        images = interpolate(images, size=(size, size), mode="bilinear", antialias=True)
    return Films(images, labels, patients)


def drawn(films: Films, members: int, controls: int, seed: int) -> tuple[Films, Films]:
    """Returns the films of members and of controls.

    Strata of patients, by the classes their films show, are drawn from alike: where there are not
    enough of one, all of them are used in the same proportion.
    """
    rng = torch.Generator().manual_seed(seed)
    strata = sorted(set(films.strata.tolist()))
    inside: set[Any] = set()
    outside: set[Any] = set()
    for stratum in strata:
        rows = (films.strata == stratum).nonzero().flatten()
        order = [films.ids[i] for i in rows[torch.randperm(len(rows), generator=rng)].tolist()]
        wanted = (members + controls) // len(strata)
        have = min(len(order), wanted)
        cut = have * members // (members + controls)
        inside |= set(order[:cut])
        outside |= set(order[cut:have])
    return films.of(inside), films.of(outside)


if __name__ == "__main__":
    main()
