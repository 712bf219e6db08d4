"""What a command prints when it is done: a few lines for people, one object for scripts."""

import shlex
import time
from pathlib import Path

from medidd.denoisers.trained import read_configuration
from pipelines.commands.audit import sentence
from pipelines.learning.plan import too_few
from pipelines.reports.evaluation import table
from pipelines.reports.next_step import next_step
from pipelines.reports.report import ROWS
from pipelines.run import remarks
from pipelines.run.films import open_cohort
from pipelines.run.progress import Answer, seconds_of, spoken
from pipelines.run.release_file import read_release
from pipelines.run.results import OF_PATIENTS, read_audit, read_metrics
from pipelines.run.store import Json, Run, read_json


class Watch:
    """Counts seconds since it was made."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def seconds(self) -> float:
        """Returns the seconds, to a tenth."""
        return round(time.monotonic() - self._start, 1)


def of(run: Run, seconds: float) -> Answer:
    """Sums up a finished run."""
    release, metrics, audit = read_release(run), read_metrics(run), read_audit(run)
    facts = release.facts
    shape = "x".join(str(side) for side in release.levels.shape[2:])
    lines = [
        f"{run.path}: {len(release.levels)} synthetic images of {shape} px, {facts['ipc']} for "
        f"each of {', '.join(facts['classes'])} ({facts['method']}, {seconds:.0f} s)",
        "",
        *table(metrics),
        "",
        *of_patients(metrics),
        *guaranteed(facts["guarantee"], _members(run)),
        *(_reasons(audit) if audit["verdict"] in ("FAIL", "INVALID") else []),
        f"audit ({audit['level']}): {audit['verdict']}. {next_step(audit).text}",
        f"report:  {run.report}",
    ]
    stages = seconds_of(run)
    lines += spoken(stages)
    cohort = open_cohort(run)
    if run.refused.exists():
        lines.append(f"left out: {remarks.left_out(cohort.refused)}; list of files: {run.refused}")
    lines += remarks.of_cohort(cohort)
    lines += _next(run.path, audit)
    value = {
        "run": str(run.path),
        "method": facts["method"],
        "ipc": facts["ipc"],
        "classes": facts["classes"],
        "metrics": metrics,
        "guarantee": facts["guarantee"],
        "audit": {key: audit[key] for key in ("verdict", "level", "reasons")},
        "refused": cohort.refused,
        "warned": cohort.warned,
        "unknown_keys": cohort.unknown_keys,
        "evidence": cohort.evidence,
        "seconds": seconds,
        "stages": stages,
    }
    return Answer(lines, value)


def _members(run: Run) -> int:
    return list(read_json(run.ledger).values()).count("member")


def guaranteed(guarantee: Json | None, members: int) -> list[str]:
    """Returns in words what a release guarantees, and whether its patients are too few for that."""
    if guarantee is None:
        return ["guarantee: none (--epsilon none)"]
    reach = guarantee["an attacker reaches at most"]
    return [
        f"guarantee: epsilon {guarantee['epsilon']:g}, delta {guarantee['delta']:g} per "
        f"{guarantee['unit']} ({guarantee['in words']}); an attacker's AUC is at most "
        f"{reach['AUC']:.2f}",
        "the figures above are not covered by it and must stay in the hospital",
        *([few] if (few := too_few(guarantee, members)) else []),
    ]


def of_audit(path: Path, audit: Json) -> Answer:
    """Sums up an audit."""
    lines = [_finding(one) for one in audit["findings"]]
    stages = seconds_of(Run(path))
    lines += ["", *spoken(stages), f"{path}: {_verdict(audit)}"]
    lines += [next_step(audit).text, *_next(path, audit)]
    return Answer(lines, {"run": str(path), **audit, "stages": stages})


def _finding(finding: Json) -> str:
    return f"{finding['audit']}  {finding['verdict']:<12}  {finding['text']}"


def _behind(audit: Json) -> dict[str, Json]:
    """Returns the findings that are reasons of the verdict, by the reason's words."""
    found = {f"{one['audit']}: {one['text']}": one for one in audit["findings"]}
    return {reason: found[reason] for reason in audit["reasons"] if reason in found}


def _reasons(audit: Json) -> list[str]:
    """Returns a line for each reason of a verdict; one that is a finding looks like a finding."""
    behind = _behind(audit)
    return [_finding(behind[one]) if one in behind else one for one in audit["reasons"]]


def _verdict(audit: Json) -> str:
    """Returns the verdict for people who have read the findings, so these are only named."""
    behind = _behind(audit)
    others = [reason for reason in audit["reasons"] if reason not in behind]
    if not behind:
        return sentence(audit)
    named = ", ".join(one["audit"] for one in behind.values())
    return " ".join([f"{audit['verdict']} because of {named}.", *others])


def _next(run: Path, audit: Json) -> list[str]:
    """Returns the line with the command that comes next; none if no command does by itself."""
    command = next_step(audit).command
    target = " --to BUNDLE" if command == "export" else ""
    return [f"next:    medidd {command} {shlex.quote(str(run))}{target}"] if command else []


def of_bundle(bundle: Path) -> Answer:
    """Sums up an export."""
    names = sorted(p.relative_to(bundle).as_posix() for p in bundle.rglob("*") if p.is_file())
    lines = [f"{bundle}: {len(names)} files", *(f"  {name}" for name in names)]
    accepted = read_json(bundle / "audit.json")["accepted"]
    if accepted is not None:
        lines.append(
            f"no audit passed it: {accepted['approver']} takes responsibility, because: "
            f"{accepted['reason']}"
        )
    return Answer(lines, {"bundle": str(bundle), "files": names, "accepted": accepted})


def of_experts(folder: Path) -> Answer:
    """Sums up experts."""
    files = sorted(path.name for path in folder.glob("expert-*.npy"))
    stages = seconds_of(Run(folder))
    lines = [
        f"{folder}: {len(files)} experts; they hold information from the films and must not leave",
        *spoken(stages),
        f"next: medidd distill --method mtt --experts {shlex.quote(str(folder))}, with the same "
        "films, size, width and seed",
    ]
    return Answer(lines, {"experts": str(folder), "files": files, "stages": stages})


def of_denoiser(folder: Path) -> Answer:
    """Sums up a denoiser."""
    stages, made = seconds_of(Run(folder)), read_configuration(folder)
    lines = [
        f"{folder}: a denoiser of {made.training.steps} updates; it holds information from the "
        "films and must not leave",
        *spoken(stages),
        f"next: medidd distill --method minimax --denoiser {shlex.quote(str(folder))}, with the "
        "same films, size and seed",
    ]
    plain = {"denoiser": str(folder), "configuration": made.to_json(), "stages": stages}
    return Answer(lines, plain)


def of_patients(metrics: Json) -> list[str]:
    """Returns how well patients are told apart by their patches, if films were cut."""
    rows = {name: metrics[row] for row, name in ROWS.items() if row in metrics}
    if not all(f"{OF_PATIENTS}hm" in values for values in rows.values()):
        return []
    lines = ["patients, by the votes of their patches (the rows above are of patches):"]
    lines.append(
        f"{'trained on':<24} {'AUC':>5}  {'sens.':>5}  {'spec.':>5}  {'hm':>5}  95 % interval"
    )
    for name, values in rows.items():
        auc, sensitivity, specificity, hm = (
            values[f"{OF_PATIENTS}{metric}"]
            for metric in ("auc", "sensitivity", "specificity", "hm")
        )
        means = "  ".join(f"{of['mean']:.3f}" for of in (auc, sensitivity, specificity, hm))
        lines.append(f"{name:<24} {means}  {hm['low']:.3f} to {hm['high']:.3f}")
    return [*lines, ""]
