"""Whether a recipient gets what the card says: train.py and own.py beside medidd's own figures.

    python benchmarks/receivers.py --data kermany_pneumonia_128_dev.npz --to receivers.jsonl
    python benchmarks/receivers.py --data ... --to receivers.jsonl --architectures
    python benchmarks/receivers.py --to receivers.jsonl --table

``--data`` is as in benchmarks/guarantee.py; seed s holds out fold s, the patients of all others are
members. One release per method that has a classifier of its own, made in the steps of ``STEPS`` and
rounded as it leaves. The card's figures are those of ``medidd evaluate``: networks, or the method's
own classifiers, with an interval over patients and networks. The recipient's come from the code of
a bundle in a folder of its own: the same training and other seeds, so other networks.
``--architectures`` trains every network by its name on the release of ``rfad``, on both sides only
``BRIEF`` steps.
"""

import importlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from medidd.architectures import ARCHITECTURES
from medidd.data import NORMALIZATION
from medidd.dicom.reading import DEFAULT
from medidd.distill import Prepares, distill
from medidd.evaluate import RECIPIENT, Training, log_probabilities, train
from medidd.machine.allocator import keep_memory
from medidd.scores.films import score
from pipelines.bundle.programs import PROGRAMS, program
from pipelines.evaluation.utility import NETWORKS, told
from pipelines.learning.asking import plainly
from pipelines.learning.job import FrozenJob
from pipelines.learning.recipe import usual_start
from pipelines.run.release_file import LEVELS, Release, quantized, step_sizes
from privacy.release import Films

STEPS: dict[str, tuple[int, dict[str, Any]]] = {
    "kip": (100, {}),
    "label-solve": (1, {}),
    "moments": (1, {"refined": 50}),
    "rfad": (50, {}),
    "frepo": (30, {}),
    "soft-label": (20, {}),
    "dd": (15, {}),
}
"""Updates of S, and other fields that are not the method's defaults."""

WIDTH = 16

BRIEF = 40
FEW = 2
"""Steps and networks per architecture; the large ones take a second per step."""

SECOND = 1000
"""The recipient's seed; the card's are 0, 1 and so on."""

Classifier = Callable[[Tensor], Tensor]


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path))
@click.option("--to", type=click.Path(path_type=Path), required=True, help="JSON lines.")
@click.option(
    "--method", "methods", multiple=True, default=tuple(STEPS), type=click.Choice([*STEPS])
)
@click.option("--seed", type=int, default=0)
@click.option("--size", type=int, default=64)
@click.option("--ipc", type=int, default=3)
@click.option("--training", type=int, default=RECIPIENT.steps, help="Steps of a network.")
@click.option("--architectures", is_flag=True, help="Every network on one release instead.")
@click.option("--table", is_flag=True, help="Print the rows there are, and make none.")
def main(data: Path | None, to: Path, *, table: bool, **options: Any) -> None:
    """Makes and judges all rows that are not there yet."""
    torch.set_num_threads(1)
    keep_memory()
    known = [json.loads(line) for line in to.read_text().splitlines()] if to.exists() else []
    if table or data is None:
        print_table(known)
        return
    with tempfile.TemporaryDirectory() as folder:
        rows = Rows(np.load(data), Path(folder), options)
        done = {(line["row"], line["seed"]) for line in known}
        for row, judged in rows.all(options):
            if (row, options["seed"]) in done:
                continue
            begun = time.process_time()
            line = {"row": row, "seed": options["seed"], **judged()}
            line["seconds"] = round(time.process_time() - begun, 1)
            with to.open("a") as file:
                file.write(json.dumps(line) + "\n")
            click.echo(json.dumps(line))


class Rows:
    """Films with one fold held out, and a recipient's folder."""

    def __init__(self, held: Any, folder: Path, options: Any) -> None:
        pixels = torch.from_numpy(held["images"]).float()[:, None] / 255
        size = options["size"]
        small = interpolate(pixels, size=(size, size), mode="area")
        labels = torch.from_numpy(held["labels"].astype("int64"))
        of, test = held["patient_ids"].astype(str), held["fold"] == options["seed"]
        self._films = Films(small[~test], labels[~test], of[~test].tolist())
        self._seen, self._truth = NORMALIZATION.standardize(small[test]), labels[test]
        self._of_test, self._options, self._folder = of[test], options, folder
        for name in PROGRAMS:
            (folder / name).write_bytes(program(name))
        sys.path.insert(0, str(folder))
        names = [name.removesuffix(".py") for name in PROGRAMS]
        self._code = SimpleNamespace(**{name: importlib.import_module(name) for name in names})

    def all(self, options: Any) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
        """Yields the rows, each with what makes it."""
        if not options["architectures"]:
            for name in options["methods"]:
                yield name, lambda name=name: self.method(name)
            return
        how = replace(RECIPIENT, steps=BRIEF)
        made: dict[str, Any] = {}
        for name in ARCHITECTURES:

            def judged(name: str = name) -> dict[str, Any]:
                made.update({} if made else {"of": self.released("rfad", how, FEW)})
                return self.networks(*made["of"], name, how, FEW)

            yield f"rfad, {name}", judged

    def released(self, name: str, how: Training, networks: int) -> tuple[FrozenJob, Release]:
        """Makes a release and writes its file into the recipient's folder."""
        steps, settings = STEPS[name]
        frozen = FrozenJob(
            source="",
            labelling={},
            unit="patient",
            method=name,
            start=usual_start(name, private=False),
            ipc=self._options["ipc"],
            size=self._options["size"],
            steps=steps,
            preset="default",
            settings=settings,
            experts=None,
            width=WIDTH,
            seed=self._options["seed"],
            device_name="cpu",
            threads=1,
            max_refused=0.0,
            reading=DEFAULT,
        )
        made, rng = frozen.recipe(2), torch.Generator().manual_seed(frozen.seed)
        s = made.begun(NORMALIZATION.standardize(self._films.images), self._films.labels, rng)
        real = plainly(made.releases, 2, self._films, torch.device("cpu"), rng)
        method: Any = made.method
        list(distill(method, s, real, steps=made.steps, rng=rng))
        scale = {"mean": NORMALIZATION.mean, "std": NORMALIZATION.std, "levels": LEVELS}
        facts = frozen.facts(("normal", "pneumonia"), scale)
        facts["training"] = told(how, WIDTH) | {"networks": networks}
        if isinstance(method, Prepares):
            facts["step sizes"] = step_sizes(s)
        release = quantized(s, facts, made.digits)
        (self._folder / "synthetic.safetensors").write_bytes(release.to_bytes())
        return frozen, release

    def method(self, name: str) -> dict[str, Any]:
        """Returns the AUC of networks and of own classifiers, the card's and the recipient's."""
        begun = time.process_time()
        how = replace(RECIPIENT, steps=self._options["training"])
        frozen, release = self.released(name, how, NETWORKS)
        found = {"making": round(time.process_time() - begun, 1), "training": how.steps}
        found |= self.networks(frozen, release, "convnet", how, NETWORKS)
        method: Any = frozen.recipe(2).method
        synthetic = release.synthetic(torch.device("cpu"))
        makers = [torch.Generator().manual_seed(net) for net in range(NETWORKS)]
        card = [method.classifier(synthetic, rng)(self._seen).detach() for rng in makers]
        received = self._code.own.classifier(SECOND, self._release)(self._seen)
        return found | {"own": self._beside(card, received)}

    def networks(
        self, frozen: FrozenJob, release: Release, name: str, how: Training, networks: int
    ) -> dict[str, Any]:
        """Returns the AUC of networks, the card's and the recipient's."""
        f, card = frozen.recipe(2).networks[name], []
        for net in range(networks):
            rng = torch.Generator().manual_seed(net)
            theta = train(f, release.images, release.labels, how, rng)
            card.append(log_probabilities(f, theta, self._seen).exp())
        trained = self._code.train.trained(SECOND, self._release, name)
        each = [self._code.train.predict([network], self._seen) for network in trained]
        apart = [round(self._code.score.auc(one, self._truth), 4) for one in each]
        received = torch.stack(each).mean(0)
        return {"networks": self._beside(card, received) | {"each": apart}}

    @property
    def _release(self) -> Path:
        return self._folder / "synthetic.safetensors"

    def _beside(self, card: list[Tensor], received: Tensor) -> dict[str, Any]:
        patients = np.asarray(self._of_test)
        mean = torch.stack(card).mean(0)
        judged = [score(of, self._truth, patients, seed=0)["auc"] for of in (card, [mean])]
        single, together = ({k: round(v, 4) for k, v in asdict(one).items()} for one in judged)
        auc = round(self._code.score.auc(received, self._truth), 4)
        return {"card": single, "card, of mean": together, "recipient": auc}


def print_table(lines: list[dict[str, Any]]) -> None:
    """Prints the card's figures with their intervals, and the recipient's beside them."""
    click.echo("| row | card | recipient | card, of mean | recipient, of mean | within |")
    click.echo("|---|---|---|---|---|---|")
    for line in lines:
        for kind in ("networks", "own"):
            if kind in line:
                found = line[kind]
                each = found.get("each", [found["recipient"]])
                means = {"card": float(np.mean(each)), "card, of mean": found["recipient"]}
                row = f"`{line['row']}`" + (", own" if kind == "own" else "")
                cells = [
                    cell for of, x in means.items() for cell in (_interval(found[of]), _short(x))
                ]
                within = all(found[of]["low"] <= x <= found[of]["high"] for of, x in means.items())
                click.echo(f"| {row} | {' | '.join(cells)} | {'yes' if within else 'no'} |")


def _interval(of: dict[str, float]) -> str:
    return f"{_short(of['mean'])} ({_short(of['low'])} to {_short(of['high'])})"


def _short(value: float) -> str:
    return f"{value:.3f}".lstrip("0")


if __name__ == "__main__":
    main()
