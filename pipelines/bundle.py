"""Every file that would leave, as bytes in memory: what is audited is what is written."""

import csv
import hashlib
import io
from collections.abc import Mapping
from functools import cache
from importlib.resources import files as resources

import torch
from jinja2 import Environment, PackageLoader, StrictUndefined
from safetensors.torch import load

from medidd.data import NORMALIZATION
from pipelines.store import Json, Run, dumped, read_json
from pipelines.synthetic import LEVELS, Release, png, preview_names, read_release
from privacy.leaks import tokens
from privacy.release import Release as Audited

RELEASE = "synthetic.safetensors"
SUMS = "SHA256SUMS"

Files = dict[str, bytes]


def contents(run: Run) -> Files:
    """Returns the bundle but for the audit's own report, by file name."""
    release = read_release(run)
    metrics = read_json(run.metrics)
    names = preview_names(release)
    files: Files = {RELEASE: run.release.read_bytes()}
    for name, image in zip(names, release.display.numpy(), strict=True):
        files[f"previews/{name}"] = png(image)
    files["labels.csv"] = _labels(release, names)
    files["loader.py"] = _template("loader.py").encode()
    files["README.md"] = _card(release, metrics).encode()
    manifest = release.facts | {"metrics": coarse(metrics), "files": hashes(files)}
    files["manifest.json"] = dumped(manifest)
    return files


def hashes(files: Mapping[str, bytes]) -> dict[str, str]:
    """Returns each file's SHA-256 in hexadecimal."""
    return {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())}


def sums(files: Mapping[str, bytes]) -> bytes:
    """Returns the file that ``sha256sum --check`` reads."""
    return "".join(f"{digest}  {name}\n" for name, digest in hashes(files).items()).encode()


def decode(files: Mapping[str, bytes]) -> Audited:
    """Reads images, as display values, and labels out of a bundle, as its loader does."""
    tensors = load(files[RELEASE])
    return Audited(tensors["images"].to(torch.float32) / LEVELS, tensors["labels"])


def audit_report(audit: Json) -> Files:
    """Returns the audit's report for outsiders: counts by tens, two decimals, nobody's film."""
    findings = [
        {
            "audit": finding["audit"],
            "name": finding["name"],
            "verdict": finding["verdict"],
            # The numbers of the other audits are counts, or are about single images.
            "upper bound": _bound(finding, "high"),
            "limit": _bound(finding, "limit"),
        }
        for finding in audit["findings"]
    ]
    report = {
        "verdict": audit["verdict"],
        "level": audit["level"],
        "wording": audit["public wording"],
        "policy": audit["policy"],
        "findings": findings,
        "audited": audit["sha256"],
    }
    page = environment().get_template("audit.html").render(report=report)
    return {"audit.json": dumped(report), "audit.html": page.encode()}


def _bound(finding: Json, name: str) -> float | None:
    return None if finding["p_limit"] is None else round(finding[name], 2)


def coarse(metrics: Json) -> Json:
    """Returns the metrics to two decimals: finer ones are about single patients."""
    return {
        row: {name: {k: round(v, 2) for k, v in value.items()} for name, value in values.items()}
        for row, values in metrics.items()
    }


def own_words(run: Run) -> frozenset[str]:
    """Returns the words of the bundle that no patient is behind.

    These are the templates' own, and the numbers that the user chose: a patient may be called Page
    or have the number 4095.
    """
    facts = read_release(run).facts
    chosen = [facts["seed"], facts["steps"], facts["ipc"], LEVELS]
    chosen += [*facts["fields"].values(), *facts["ingredients"].values()]
    return _template_words() | frozenset(token for one in chosen for token in tokens(str(one)))


@cache
def _template_words() -> frozenset[str]:
    texts = [path.read_text() for path in resources("pipelines").joinpath("templates").iterdir()]
    return frozenset(token for text in texts for token in tokens(text))


@cache
def environment() -> Environment:
    """Returns the templates; a name that is missing is an error, and HTML is escaped."""
    return Environment(
        loader=PackageLoader("pipelines"),
        autoescape=lambda name: bool(name and name.endswith(".html")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _labels(release: Release, names: list[str]) -> bytes:
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["file", *release.facts["classes"]])
    for name, row in zip(names, release.labels.tolist(), strict=True):
        table.writerow([f"previews/{name}", *(f"{value:.3f}" for value in row)])
    return out.getvalue().encode()


def _card(release: Release, metrics: Json) -> str:
    return (
        environment()
        .get_template("card.md")
        .render(
            facts=release.facts,
            metrics=coarse(metrics),
            shape=list(release.levels.shape),
            probabilities=bool(release.labels.min() >= 0),
            normalization=NORMALIZATION,
        )
    )


def _template(name: str) -> str:
    return resources("pipelines").joinpath("templates", name).read_text()
