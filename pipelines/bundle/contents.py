"""Every file that would leave, as bytes in memory: medidd writes exactly what it audits."""

import csv
import io
import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files as resources

import torch
from safetensors.torch import load

from medidd.data import NORMALIZATION
from medidd.methods import METHODS
from pipelines.bundle.checksums import hashes
from pipelines.bundle.croissant import NAME, croissant
from pipelines.bundle.preparation import NAME as PREPARATION
from pipelines.bundle.preparation import preparation
from pipelines.bundle.programs import PROGRAMS, program
from pipelines.reports.pages import environment, template
from pipelines.run.release_file import LEVELS, Release, png, preview_names, read_release
from pipelines.run.results import read_metrics
from pipelines.run.store import Json, Run, dumped
from privacy.gates.leaks import tokens
from privacy.promises import PROMISE, WHERE, rows
from privacy.release import Release as Audited

RELEASE = "synthetic.safetensors"
MANIFEST = "manifest.json"

Files = dict[str, bytes]


def contents(run: Run) -> Files:
    """Returns the bundle without the audit's own report, by file name."""
    found = read_metrics(run)  # first: its seal also covers the release
    release = read_release(run)
    metrics = shown(release, found)
    names = preview_names(release)
    files: Files = {RELEASE: run.release.read_bytes()}
    for name, image in zip(names, release.display.numpy(), strict=True):
        files[f"previews/{name}"] = png(image)
    files["labels.csv"] = _labels(release, names)
    for name in PROGRAMS:
        files[name] = program(name)
    files[PREPARATION] = preparation(release.facts, release.levels.shape)
    files[NAME] = croissant(release.facts, files)
    files["README.md"] = _card(release, metrics).encode()
    manifest = release.facts | {"metrics": metrics, "files": hashes(files)}
    files[MANIFEST] = dumped(manifest)
    return files


def with_files(files: Files, more: Mapping[str, bytes]) -> Files:
    """Returns a bundle with added or replaced files, and a manifest that lists all."""
    changed = {name: data for name, data in (files | dict(more)).items() if name != MANIFEST}
    listed = json.loads(files[MANIFEST]) | {"files": hashes(changed)}
    return changed | {MANIFEST: dumped(listed)}


def decode(files: Mapping[str, bytes]) -> Audited:
    """Reads images, as display values, and labels from a bundle, as its loader does."""
    tensors = load(files[RELEASE])
    return Audited(tensors["images"].to(torch.float32) / LEVELS, tensors["labels"])


def shown(release: Release, metrics: Json) -> Json:
    """Returns the metrics that leave: none with a guarantee, because no noise covers them."""
    return {} if release.facts["guarantee"] else coarse(metrics)


def coarse(metrics: Json) -> Json:
    """Returns the metrics with two decimals: more decimals are about single patients."""
    return {
        row: {name: {k: round(v, 2) for k, v in value.items()} for name, value in values.items()}
        for row, values in metrics.items()
    }


def own_words(facts: Json, release: Audited) -> frozenset[str]:
    """Returns the words of the bundle that do not come from a patient.

    These are the words of the templates and of the table of audits, the numbers that the user
    chose, and where in the release file a tensor begins or ends. A patient may be called Page or
    have the number 4095.

    Args:
        facts: what the release may say of itself; not what its file says.
        release: the tensors.
    """
    chosen = [facts["seed"], facts["steps"], facts["ipc"], LEVELS]
    images, labels = release.images.numel(), release.labels.nbytes
    chosen += [*release.images.shape, images, labels, images + labels]
    chosen += [*facts["fields"].values(), *facts["ingredients"].values()]
    cut = facts["reading"].get("patches", {})
    chosen += [value for name, value in cut.items() if name != "background"]  # a class's name
    return template_words() | frozenset(token for one in chosen for token in tokens(str(one)))


@cache
def template_words() -> frozenset[str]:
    """Returns the words of the templates that leave, and of the modules with texts that leave."""
    pages = (
        *("page.html", "audit.html", "history.html", "guarantee.html", "inside.html"),
        *("card.md", "style.css"),
    )
    texts = [template(name) for name in pages]
    texts += [program(name).decode() for name in PROGRAMS]
    modules = (
        ("privacy", "threats.py"),
        ("privacy", "promises.py"),
        ("pipelines.bundle", "croissant.py"),
        ("pipelines.bundle", "preparation.py"),
    )
    texts += [resources(room).joinpath(name).read_text() for room, name in modules]
    return frozenset(token for text in texts for token in tokens(text))


def _labels(release: Release, names: list[str]) -> bytes:
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["file", *release.facts["classes"]])
    for name, row in zip(names, release.labels.tolist(), strict=True):
        table.writerow([f"previews/{name}", *(f"{value:.2f}" for value in row)])
    return out.getvalue().encode()


def _card(release: Release, metrics: Json) -> str:
    return (
        environment()
        .get_template("card.md")
        .render(
            facts=release.facts,
            metrics=metrics,
            guarantee=rows(release.facts["guarantee"]) if release.facts["guarantee"] else {},
            promise=PROMISE,
            covered=WHERE,
            drawn=release.drawn,
            shape=list(release.levels.shape),
            probabilities=bool(release.labels.min() >= 0),
            classifies_by=getattr(METHODS.get(release.facts["method"]), "classifies_by", ""),
            normalization=NORMALIZATION,
        )
    )
