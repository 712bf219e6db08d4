"""Judges exactly the bytes that a run would release."""

import re
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from medidd.data import NORMALIZATION
from medidd.dicom.identifiers import keyed, tokens_of
from medidd.evaluate import log_probabilities, train
from medidd.network import Network
from pipelines.bundle import contents, decode, hashes, own_words
from pipelines.experts import about, train_experts
from pipelines.installation import key
from pipelines.learn import learn
from pipelines.patients import Patients
from pipelines.progress import Progress
from pipelines.recipe import Recipe
from pipelines.report import write_report
from pipelines.seeds import derived, generator
from pipelines.store import Json, Run, read_json, require, write_json
from pipelines.subject import Subject, reopened
from pipelines.synthetic import quantized
from pipelines.worth import RECIPIENT
from privacy.evidence import Evidence, Fit
from privacy.gate import decide, wording
from privacy.nulls import Nulls, folds
from privacy.policy import Level, Policy, load_policy
from privacy.release import Films
from privacy.release import Release as Audited
from privacy.suite import audit

DECIMAL = re.compile(r"[+-]?\d+\.\d+(?:[eE][+-]?\d+)?")

RECIPIENTS = ("convnet", "convnet", "convnet", "mlp", "mlp")
"""The networks a recipient may train, for the membership attack: three of the field's own, two
that are as unlike it as can be."""


@dataclass(frozen=True)
class Audit:
    """Audit a finished run.

    Attributes:
        run: its folder.
        level: "screen" or "standard".
    """

    run: Path
    level: str = "standard"


def run(job: Audit) -> Generator[Progress, None, Json]:
    """Audits, rewrites ``audit.json`` and the report; the generator's value is the audit.

    Raises:
        Stop: there is no finished run, or its films are gone.
    """
    subject = reopened(require(job.run))
    result = yield from examine(subject, Level(job.level))
    write_report(subject.run, subject.patients)
    return result


def examine(subject: Subject, level: Level) -> Generator[Progress, None, Json]:
    """Runs the audits of one level and writes ``audit.json``."""
    run, frozen, recipe = subject.run, subject.frozen, subject.recipe
    policy = load_policy()
    members, controls = subject.patients.members, subject.patients.controls
    nulls = None
    if level is not Level.SCREEN and _can_calibrate(controls, members, recipe, policy):
        nulls = yield from _nulls(subject)
    outgoing = contents(run)
    yield Progress(f"audit ({level.value})", 0, 1)
    evidence = Evidence(
        release=decode(outgoing),
        members=members,
        controls=controls,
        nulls=nulls,
        fits=[
            fit(recipe.networks[name], derived(frozen.seed, "recipient", number), frozen.device)
            for number, name in enumerate(RECIPIENTS)
        ],
        start=recipe.start,
        outgoing=outgoing,
        manifest=hashes(outgoing),
        decode=decode,
        is_identifier=identifier_of(subject.patients),
        own=own_words(run),
    )
    findings = audit(evidence, policy, level, generator(frozen.seed, "audit", level.value))
    decision = decide(findings, policy, level)
    result = {
        "verdict": decision.verdict.value,
        "level": level.value,
        "reasons": list(decision.reasons),
        "wording": wording(decision, findings),
        "public wording": wording(decision, findings, to=10),
        "findings": [finding.to_json() for finding in findings],
        "policy": policy.model_dump(mode="json"),
        "sha256": hashes(outgoing),
    }
    write_json(run.audit, result)
    yield Progress(f"audit ({level.value})", 1, 1)
    return result


def passed(run: Run) -> Json | None:
    """Returns the audit of exactly the bytes that would leave now, at level standard or above.

    None where the run has no such audit, whatever its verdict.
    """
    if not run.audit.exists():
        return None
    found = read_json(run.audit)
    same = found["sha256"] == hashes(contents(run))
    current = found["policy"] == load_policy().model_dump(mode="json")
    return found if same and current and found["level"] != Level.SCREEN.value else None


def identifier_of(patients: Patients) -> Callable[[str], bool]:
    """Returns what tells whether a token is an identifier of the cohort.

    A decimal number is taken as it stands: cut into parts, the label 0.996 would be the patient
    0996.
    """
    secret, known = key(), patients.cohort.tokens

    def is_identifier(token: str) -> bool:
        parts = {token} if DECIMAL.fullmatch(token) else tokens_of(token)
        return any(keyed(secret, part) in known for part in parts)

    return is_identifier


def fit(network: Network, seed: int, device: torch.device) -> Fit:
    """Returns a training as a recipient would do it, the same weights to begin with each time."""

    def trained(release: Audited) -> Callable[[Tensor], Tensor]:
        rng = torch.Generator().manual_seed(seed)
        images = NORMALIZATION.standardize(release.images).to(device)
        theta = train(network, images, release.labels.to(device), RECIPIENT, rng)

        def predict(display: Tensor) -> Tensor:
            seen = NORMALIZATION.standardize(display).to(device)
            return log_probabilities(network, theta, seen).cpu()

        return predict

    return trained


def _can_calibrate(controls: Films, members: Films, recipe: Recipe, policy: Policy) -> bool:
    """Tells whether null releases can be made and would matter: else nothing can pass anyway."""
    of_class = torch.bincount(controls.labels, minlength=recipe.classes)
    enough = int(of_class.min()) >= 2 * max(recipe.shown, 1)
    return enough and min(len(controls.ids), len(members.ids)) >= policy.least_controls


def _nulls(subject: Subject) -> Generator[Progress, None, Nulls]:
    """Makes the null releases: the run's own recipe on controls alone, each fold left out once."""
    frozen, members, controls = subject.frozen, subject.patients.members, subject.patients.controls
    draw = partial(folds, rng=generator(frozen.seed, "folds"))
    fold_of = draw(controls) | draw(members)
    count = max(fold_of.values()) + 1
    releases = []
    for number in range(count):
        chosen = {one for one in controls.ids if fold_of[one] != number}
        folder = subject.run.private / "nulls"
        films = controls.of(chosen)
        recipe = yield from _on_its_own_experts(
            subject, films, folder / f"{number}-experts", number
        )
        synthetic = yield from learn(
            recipe,
            films,
            stage=f"null release {number + 1} of {count}",
            seed=derived(frozen.seed, "null", number),
            device=frozen.device,
            checkpoint=folder / f"{number}.safetensors",
            log=folder / f"{number}.jsonl",
        )
        null = quantized(synthetic, {})
        releases.append(Audited(null.display, null.labels))
    return Nulls(tuple(releases), fold_of)


def _on_its_own_experts(
    subject: Subject, films: Films, folder: Path, number: int
) -> Generator[Progress, None, Recipe]:
    """Returns the run's recipe for other films: experts, if it has any, are trained on those."""
    frozen, recipe = subject.frozen, subject.recipe
    if frozen.experts is None:
        return recipe
    method: Any = recipe.method
    seed = derived(frozen.seed, "null experts", number)
    of = about(films, recipe.classes, frozen)
    yield from train_experts(
        method.network,
        {**frozen.experts, "seed": seed},
        films,
        recipe.classes,
        of,
        folder,
        device=frozen.device,
        stage=f"experts of null release {number + 1}",
    )
    return recipe.on_experts(folder, of)


def sentence(result: Json) -> str:
    """Returns the verdict in one line for a terminal, in the words of the report."""
    return f"{result['verdict']}: {result['wording']}"
