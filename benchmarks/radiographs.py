"""Every method and baseline on a set of radiographs: one line of JSON per row, resumable.

    python benchmarks/radiographs.py --data kermany_pneumonia_128_dev.npz --to kermany.jsonl

``--data`` holds ``images`` (n, H, W) uint8, ``labels``, ``patient_ids`` and ``fold`` (0 to 4, by
patient). Seed s holds out fold s: nobody who is learned from is judged on. Rows that stand in the
output already are not repeated. What S is worth is a ConvNet's AUC and harmonic mean of sensitivity
and specificity, the mean over networks, and the AUC of their mean prediction; all are trained as a
recipient trains, without and with noise, on methods and baselines alike.

The methods are shortened to what a CPU can do for all of them; ``SHORT`` says to what.
"""

import json
import time
from collections.abc import Callable
from dataclasses import astuple, replace
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from medidd.architectures import convnet
from medidd.data import NORMALIZATION, RealSet
from medidd.denoisers import making
from medidd.denoisers.presets import usual
from medidd.denoisers.trained import Trained
from medidd.distill import Classifies, Decodes, Prepares, Starts, distill
from medidd.evaluate import NOISE, RECIPIENT, Training, log_probabilities, train
from medidd.experts.teachers import TEACHING, teachers
from medidd.experts.trajectories import Experts, Trajectories
from medidd.features import FEATURES
from medidd.fields import fields, make, values
from medidd.kernels import KERNELS
from medidd.machine.allocator import keep_memory
from medidd.methods import METHODS
from medidd.scores.films import score
from medidd.starts import STARTS, begin
from pipelines.cli.options.shared import parsed

SHORT: dict[str, dict[str, Any]] = {
    "dd": {"steps": 30, "epochs": 10, "batch": 32, "lr_images": 0.05},
    "soft-label": {"steps": 30, "horizon": 30, "window": 10, "batch": 32, "lr_images": 0.05},
    "dc": {"steps": 30, "inner_steps": 5, "net_epochs": 5, "batch": 32, "lr_images": 2.0},
    "dsa": {"steps": 30, "inner_steps": 5, "net_epochs": 5, "batch": 32, "lr_images": 2.0},
    "dm": {"steps": 100, "batch": 64},
    "idc": {"steps": 80, "inner_steps": 10, "net_steps": 2, "batch": 32, "lr_images": 2.0},
    "mtt": {"steps": 60, "inner_steps": 8, "expert_epochs": 2, "last_start": 6},
    "tesla": {"steps": 60, "inner_steps": 8, "expert_epochs": 2, "last_start": 6},
    "kip": {"steps": 100},
    "frepo": {"steps": 60, "batch": 64, "online": 10},
    "rfad": {"steps": 100, "batch": 64},
    "label-solve": {},
    "class-mean": {},
    "moments": {},
    "minimax": {},
}
"""Fields that differ from the methods' defaults."""

EXPERTS = {"count": 4, "epochs": 8, "epoch_steps": 8, "batch": 64}


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--to", type=click.Path(path_type=Path), required=True, help="JSON lines.")
@click.option("--ipc", "ipcs", type=int, multiple=True, default=(1, 3, 10))
@click.option("--seed", "seeds", type=int, multiple=True, default=(0, 1, 2))
@click.option("--row", "only", multiple=True, help="Only these; by default all.")
@click.option("--size", type=int, default=64)
@click.option("--width", type=int, default=32)
@click.option("--nets", type=int, default=3, help="Networks per row.")
@click.option("--teachers", type=int, default=0, help="Networks that label S.")
@click.option("--start", help="Where every method begins; by default where it usually does.")
@click.option("--set", "settings", multiple=True, callback=parsed, help="Fields of the methods.")
@click.option("--device", default="cpu")
@click.option("--draws", type=int, default=1, help="Draws of what is random in a row, each.")
@click.option(
    "--denoisers",
    type=click.Path(path_type=Path),
    help="Folder where denoisers are kept, one for each seed and size; by default they are not.",
)
@click.option("--long", is_flag=True, help="The methods' own defaults instead of SHORT.")
def main(data: Path, to: Path, **options: Any) -> None:
    """Makes and judges all rows."""
    torch.set_num_threads(1)
    keep_memory()
    known = (
        {_key(json.loads(line)) for line in to.read_text().splitlines()} if to.exists() else set()
    )
    held = np.load(data)
    with TemporaryDirectory() as folder:
        for seed in options["seeds"]:
            cell = Cell(held, data.stem, seed, Path(folder), options)
            rows = options["only"] or [*METHODS, *STARTS, "full"]
            for ipc, row, draw in product(options["ipcs"], rows, range(options["draws"])):
                again = row == "full" and (ipc != options["ipcs"][0] or draw)
                if (seed, ipc, row, draw) in known or again:
                    continue
                for line in cell.lines(row, ipc, draw):
                    with to.open("a") as file:
                        file.write(json.dumps(line) + "\n")
                    click.echo(json.dumps(line))


def _key(line: dict[str, Any]) -> tuple[int, int, str, int]:
    return line["seed"], line["ipc"], line["row"], line.get("draw", 0)


class Cell:
    """One set of films with one fold held out."""

    def __init__(self, held: Any, name: str, seed: int, folder: Path, options: Any) -> None:
        self._name, self._seed, self._options = name, seed, options
        self._folder = folder / f"{seed}"
        size, test = options["size"], held["fold"] == seed
        pixels = torch.from_numpy(held["images"]).float()[:, None] / 255
        small = interpolate(pixels, size=(size, size), mode="bilinear", antialias=True)
        images = NORMALIZATION.standardize(small).to(options["device"])
        labels = torch.from_numpy(held["labels"].astype("int64"))
        self._x, self._y = images[~test], labels[~test].to(options["device"])
        self._seen, self._truth = images[test], labels[test]
        self._patients = held["patient_ids"][test].astype(str)
        self._classes = int(labels.max()) + 1
        self._f = convnet(self._classes, 1, size, width=options["width"])

    def lines(self, row: str, ipc: int, draw: int = 0) -> list[dict[str, Any]]:
        """Returns the row without and with noise, and one of the method's own classifier."""
        return [line | {"draw": draw} for line in self._lines(row, ipc, draw)]

    def _lines(self, row: str, ipc: int, draw: int) -> list[dict[str, Any]]:
        rng = torch.Generator().manual_seed(self._seed + 1000 * draw)
        begun = time.process_time()
        if row == "full":
            y = torch.eye(self._classes).to(self._x)[self._y]
            return [self._judged("full", ipc, self._fits(self._x, y, TEACHING), begun, {})]
        method = self._method(row) if row in METHODS else None
        shown = method.shown if isinstance(method, Decodes) else 1
        usual = method.start if isinstance(method, Starts) else "noise"
        start = STARTS[row if row in STARTS else self._options["start"] or usual]
        s = begin(
            start,
            self._x,
            self._y,
            classes=self._classes,
            ipc=ipc * shown,
            rng=rng,
            network=self._f,
        )
        fields = {}
        if method is not None:
            s = method.encode(s) if isinstance(method, Decodes) else s
            s = method.prepare(s) if isinstance(method, Prepares) else s
            real = RealSet(self._x, self._y, self._classes, rng)
            for _ in distill(method, s, real, steps=method.steps, rng=rng):
                pass
            s = method.decode(s) if isinstance(method, Decodes) else s
            fields = {
                name: value
                for name, value in values(method).items()
                if name not in ("network", "kernel", "features", "experts", "denoiser")
            }
        if count := self._options["teachers"]:
            s = teachers(self._f, self._x, self._y, self._classes, count, rng).taught(s)
        spent = time.process_time() - begun
        found = []
        for noise in (0.0, NOISE):
            how = replace(RECIPIENT, noise=noise)
            fits = self._fits(s.images.detach(), s.labels.detach(), how)
            line = self._judged(row, ipc, fits, time.process_time() - spent, fields)
            found.append(line | {"noise": noise})
        if isinstance(method, Classifies):
            own = [method.classifier(s, rng)]
            found.append(self._judged(f"{row}, own", ipc, own, time.process_time() - spent, fields))
        return found

    def _method(self, row: str) -> Any:
        kind = METHODS[row]
        names = fields(kind)
        given: dict[str, Any] = {} if self._options["long"] else dict(SHORT.get(row, {}))
        given |= self._options["settings"]
        if "network" in names:
            given["network"] = self._f
        if "kernel" in names:
            given["kernel"] = KERNELS["fc"]()
        if "features" in names:
            given["features"] = FEATURES["dct"]()
        if "experts" in names:
            given["experts"] = self._experts()
        if "denoiser" in names:
            given["denoiser"] = self._denoiser()
        return make(kind, given)

    def _denoiser(self) -> Trained:
        """Returns the denoiser of the films that are learned from: the preset for two cores."""
        size, seed = self._options["size"], self._seed
        kept = self._options["denoisers"] or self._folder.with_name(f"{seed}-denoiser")
        kept.parent.mkdir(parents=True, exist_ok=True)
        folder = kept / f"{self._name}-{size}-{seed}"
        about = {"data": self._name, "size": size, "seed": seed}
        how = usual("cpu", size, seed=seed)
        denoiser = Trained(folder, how, self._classes, 1, size, about)
        begun = time.process_time()
        for _ in making.make(
            folder,
            denoiser,
            lambda *asked: RealSet(self._x, self._y, self._classes, asked[-1]),
            self._x[:0],
        ):
            pass
        if (spent := time.process_time() - begun) > 1:
            click.echo(f"{folder.name}: trained in {spent:.0f} process seconds")
        return denoiser

    def _experts(self) -> Trajectories:
        experts = Experts(self._f, seed=self._seed, **EXPERTS)
        made = experts.make(
            self._folder, lambda _, rng: RealSet(self._x, self._y, self._classes, rng), {}, self._x
        )
        for _ in made:
            pass
        return Trajectories(self._folder, self._f, {})

    def _fits(self, x: Tensor, y: Tensor, how: Training) -> list[Callable[[Tensor], Tensor]]:
        def fit(net: int) -> Callable[[Tensor], Tensor]:
            rng = torch.Generator().manual_seed(1000 * self._seed + net)
            theta, f = train(self._f, x, y, how, rng), self._f
            return lambda seen: log_probabilities(f, theta, seen).exp()

        return [fit(net) for net in range(self._options["nets"])]

    def _judged(
        self, row: str, ipc: int, fits: list[Callable[[Tensor], Tensor]], begun: float, fields: Any
    ) -> dict[str, Any]:
        seconds = time.process_time() - begun
        predicted = [fit(self._seen) for fit in fits]
        found = score(predicted, self._truth, self._patients, seed=0)
        mean = [torch.stack(predicted).mean(0)]
        together = score(mean, self._truth, self._patients, seed=0)["auc"]
        return {
            "data": self._name,
            "size": self._options["size"],
            "width": self._options["width"],
            "teachers": self._options["teachers"],
            "row": row,
            "ipc": ipc,
            "seed": self._seed,
            "auc": [round(value, 4) for value in astuple(found["auc"])],
            "auc_of_mean": [round(value, 4) for value in astuple(together)],
            "hm": round(found["hm"].mean, 4),
            "process_seconds": round(seconds, 1),
            "fields": fields,
            "device": self._options["device"],
        }


if __name__ == "__main__":
    main()
