"""The page for people: one file, no scripts, nothing loaded from elsewhere."""

import base64
import json
from collections.abc import Mapping

import numpy as np

from medidd.dicom.errors import counts
from pipelines.reports.figures import loss_curve, roc
from pipelines.reports.internal import FOLDER, PAGE
from pipelines.reports.next_step import next_step
from pipelines.reports.pages import environment
from pipelines.run.patients import Patients
from pipelines.run.release_file import Release, png, read_release
from pipelines.run.remarks import unmatched
from pipelines.run.results import OF_PATIENTS, read_audit, read_metrics
from pipelines.run.store import Json, Run, read_json, write
from privacy.promises import WHERE, rows

COLUMNS = {
    "auc": "AUC",
    "balanced_accuracy": "Balanced accuracy",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "hm": "Harmonic mean",
    "auc_of_mean": "AUC of their mean prediction",
}
ROWS = {
    "synthetic": "the synthetic images",
    "own": "method's own classifier",
    "random": "random films",
    "kmeans": "k-means centroids",
    "average": "class averages",
    "class-mean": "noisy class means",
    "full": "all films",
}


def write_report(run: Run, patients: Patients, *, networks: int) -> None:
    """Writes ``report.html`` from the files of the run.

    Args:
        run: the run it is about.
        patients: the films, by role.
        networks: number of networks trained for each row of the table.
    """
    release, metrics, audit = read_release(run), read_metrics(run), read_audit(run)
    losses = [json.loads(line)["loss"] for line in run.log.read_text().splitlines()]
    curves = {
        row: read_json(run.private / "worth" / "convnet" / f"{row}.json")["roc"] for row in metrics
    }
    page = (
        environment()
        .get_template("report.html")
        .render(
            facts=release.facts,
            size=release.levels.shape[-1],
            images=release.display,
            groups=_groups(release),
            counts=_counts(patients),
            class_counts=_class_counts(patients),
            refused=_counted(patients.cohort.refused),
            warned=_counted(patients.cohort.warned),
            evidence=_counted(patients.cohort.evidence),
            unmatched=unmatched(patients.cohort.refused, patients.cohort.unknown_keys),
            summary=summary(release, metrics),
            next_step=next_step(audit).text,
            audit=audit,
            before=audit["audited before"],
            guarantee=rows(release.facts["guarantee"]) if release.facts["guarantee"] else {},
            covered=WHERE,
            internal=_internal(run),
            columns=list(COLUMNS.values()),
            rows=[_row(row, metrics[row]) for row in ROWS if row in metrics],
            of_patients=[
                _row(row, metrics[row], OF_PATIENTS)
                for row in ROWS
                if f"{OF_PATIENTS}hm" in metrics.get(row, {})
            ],
            networks=networks,
            architecture="ConvNet",
            loss_curve=loss_curve(losses) if losses else _nothing(),
            loss_caption=_caption(release, learned=bool(losses)),
            drawn=release.drawn,
            roc_curve=roc({row: curves[row] for row in ROWS if row in curves}),
            roc_note="" if len(release.facts["classes"]) == 2 else ", each class against the rest",
        )
    )
    write(run.report, page.encode())


def summary(release: Release, metrics: Json) -> str:
    """Returns what was made and how well it performs, in words."""
    ours, full, floor = (metrics[row]["auc"] for row in ("synthetic", "full", "random"))
    gain = ours["mean"] - floor["mean"]
    beside = "above" if gain > 0 else "below"
    return (
        f"A network trained only on these {len(release.levels)} images reaches an AUC of "
        f"{ours['mean']:.3f} ({ours['low']:.3f} to {ours['high']:.3f}) on patients it never saw. "
        f"This is {abs(gain):.3f} {beside} the same number of random films ({floor['mean']:.3f}). "
        f"All films give {full['mean']:.3f}."
    )


def _caption(release: Release, *, learned: bool) -> str:
    """Returns what the curve of losses shows."""
    if learned:
        return "Loss at each step, and its mean over the last 20 steps."
    if release.drawn:
        return "The images were drawn from the model as it was, so there is no loss."
    return "A baseline: nothing was learned, so there is no loss."


def _internal(run: Run) -> str:
    """Returns the address of the internal audit report of this run; '' if there is none."""
    page = run.private / FOLDER / PAGE
    return page.relative_to(run.path).as_posix() if page.exists() else ""


def _groups(release: Release) -> list[Json]:
    ipc, classes = release.facts["ipc"], release.facts["classes"]
    groups = []
    for number, name in enumerate(classes):
        rows = range(number * ipc, (number + 1) * ipc)
        groups.append({"name": name, "images": [_image(release, row) for row in rows]})
    return groups


def _image(release: Release, row: int) -> Json:
    # Browsers show only 8 of 16 bits; for training there is the tensor.
    picture = png(np.asarray(release.display[row]))
    label = zip(release.facts["classes"], release.labels[row].tolist(), strict=True)
    return {
        "src": "data:image/png;base64," + base64.b64encode(picture).decode(),
        "caption": ", ".join(f"{name} {share:.0%}" for name, share in label if share >= 0.005),
    }


def _counts(patients: Patients) -> Json:
    own_test = "test" in patients.roles.values()
    return {
        "films": len(set(patients.cohort.films) or patients.cohort.labels),
        "patches": len(patients.cohort.films),
        "patients": len(patients.roles),
        "members": len(patients.members.ids),
        "controls": len(patients.controls.ids),
        "test": len(patients.test.ids),
        "test_why": ", the test patients of the cohort" if own_test else " at random",
    }


def _class_counts(patients: Patients) -> str:
    cohort = patients.cohort
    what = "patches" if len(cohort.films) else "films"
    return ", ".join(
        f"{name} {int((cohort.labels == number).sum())} {what} of "
        f"{len(set(cohort.patients[cohort.labels == number]))} patients"
        for number, name in enumerate(cohort.classes)
    )


def _counted(films: Mapping[str, int]) -> str:
    return counts(films) if films else ""


def _row(name: str, values: Json, prefix: str = "") -> Json:
    of_mean = {"auc_of_mean"} if prefix else set()
    return {
        "name": ROWS[name],
        "ours": name == "synthetic",
        "values": [values[prefix + column] for column in COLUMNS if column not in of_mean],
    }


def _nothing() -> str:
    return (
        "data:image/svg+xml;base64,"
        + base64.b64encode(
            b'<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'
        ).decode()
    )
