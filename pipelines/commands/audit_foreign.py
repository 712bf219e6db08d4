"""Audits a distilled set that somebody else made, on the films that it is said to be made of.

There is no run, so some questions have no answer: where the images began, which constants came from
the films, what was released before. The result lists these questions, and medidd cannot export such
a set. The user must supply null releases; without them nothing can pass.
"""

import dataclasses
import hashlib
import json
from collections.abc import Collection, Generator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medidd.dicom.folder.cohort import Cohort
from medidd.dicom.folder.patients import Unit
from medidd.dicom.labels.labelling import Labelling
from medidd.dicom.reading import DEFAULT, Reading
from pipelines.auditing.encoder import read_encoder
from pipelines.auditing.matched_statistics import NETWORKS, embedding, gradient
from pipelines.auditing.policies import read_policy
from pipelines.bundle.checksums import hashes
from pipelines.commands.audit import Audit, identifier_of, judged
from pipelines.evaluation.recipients import recipients
from pipelines.foreign.arrays import Scale, UnusableError
from pipelines.foreign.films import read_side, sides
from pipelines.foreign.release import Found, chosen, content, null_release, read, released
from pipelines.learning.processor import device, use
from pipelines.learning.recipe import Recipe, built
from pipelines.reports.internal import FOLDER, PAGE, write_internal
from pipelines.run.errors import Exit, Stop
from pipelines.run.films import Studies, source_of
from pipelines.run.installation import key
from pipelines.run.patients import Patients
from pipelines.run.progress import Answer, Progress
from pipelines.run.seeds import derived, generator
from pipelines.run.store import RUNS, Json, Run, claimed, write_json
from privacy.decision import decide
from privacy.evidence import Evidence
from privacy.finding import Finding
from privacy.nulls import Nulls
from privacy.policy import Level, Policy
from privacy.release import FOREIGN
from privacy.threats import untested

BELIEVED = (
    "Assumed, not checked: the set was made of the members and of no control, and the null "
    "releases were made by the same method of neither members nor controls."
)

WEAKER = (
    "medidd prepares the films in its own way. If the set was made of films that were prepared "
    "differently, an attacker who knows how finds more than these attacks."
)

UNCALIBRATED = (
    "no null release: the audit can fail the set but never pass it; make about five sets with the "
    "same method from people who are neither members nor controls, and name each with --null"
)


@dataclass(frozen=True)
class Foreign:
    """Audit a set that somebody else made.

    Attributes:
        release: the file: .npz, .safetensors, .pt or .pth.
        members: folder of the DICOM studies it was made of, or a .npz of such films.
        controls: likewise, of patients who were not used for it.
        members_labels: table of labels; None for the usual places.
        controls_labels: likewise.
        nulls: files of sets that the same method made of other people.
        mean: what floats mean: display value = intensity * std + mean; empty if they are display
            values.
        std: likewise.
        experiment: which set of a file with several sets, from 0; None for the only one.
        max_refused: refused files allowed per usable film.
        reading: how films are read.
        unit: what counts as one patient.
        width: filters per block of the ConvNets that attack.
        seed: of everything random.
        device: "auto", "cpu" or "cuda".
        threads: of the CPU.
        precision: of convolutions: "float32", "tf32" or "bfloat16".
        policy: the user's own policy; None for medidd's.
        encoder: network, as ONNX, that tells whether two films show one person; None if there is
            none.
        out: folder of the audit; None for one named after the release.
    """

    release: Path
    members: Path
    controls: Path
    members_labels: Path | None = None
    controls_labels: Path | None = None
    nulls: tuple[Path, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    experiment: int | None = None
    max_refused: float = 0.2
    reading: Reading = DEFAULT
    unit: Unit = "patient"
    width: int = 32
    seed: int = 0
    device: str = "auto"
    threads: int = 1
    precision: str = "float32"
    policy: Path | None = None
    encoder: Path | None = None
    out: Path | None = None

    def scale(self) -> Scale:
        """Returns what floats mean.

        Raises:
            Stop: the constants are not valid.
        """
        try:
            return Scale(self.mean, self.std)
        except UnusableError as error:
            raise Stop(str(error), error.code) from None

    def asked(self, release: bytes, nulls: Collection[bytes]) -> Json:
        """Returns everything that decides the audit, and nothing that names a patient."""
        return {
            "release": _digest(release),
            "members": source_of(key(), self.members, self.members_labels),
            "controls": source_of(key(), self.controls, self.controls_labels),
            "nulls": [_digest(null) for null in nulls],
            "mean": list(self.mean),
            "std": list(self.std),
            "experiment": self.experiment,
            "max_refused": self.max_refused,
            "reading": self.reading.to_json(),
            "unit": self.unit,
            "width": self.width,
            "seed": self.seed,
            "device": device(self.device).type,
            "threads": self.threads,
            "precision": self.precision,
        }

    def place(self, asked: Json) -> Run:
        """Returns the audit's folder."""
        named = f"{self.release.stem}-{_digest(json.dumps(asked, sort_keys=True).encode())[:8]}"
        return Run(self.out if self.out is not None else RUNS / named)


def run(job: Foreign) -> Generator[Progress, None, Answer]:
    """Audits, writes the internal report and ``audit.json``; the generator's value is the answer.

    Raises:
        Stop: with one line that says what is wrong and what to do.
    """
    use(device(job.device), job.threads, job.precision)
    policy = read_policy(job.policy)
    how = job.scale()
    data = content(job.release)
    found = chosen(job.release, read(job.release, data, how), job.experiment)
    encoder = read_encoder(job.encoder, found.images.shape[1:])
    others = {path: content(path) for path in job.nulls}
    nulls = {path: read(path, held, how) for path, held in others.items()}
    asked = job.asked(data, others.values())
    place = job.place(asked)
    with claimed(place, asked, resume=True):
        patients = yield from _patients(job, place, found)
        evidence = replace(_evidence(job, data, found, nulls, patients), encoder=encoder)
    yield Progress("audit", 0, 2)
    result = _judged(job, evidence, policy) | {"encoder": encoder.sha256 if encoder else None}
    yield Progress("audit", 1, 2, "report")
    findings = [Finding.from_json(finding) for finding in result["findings"]]
    write_internal(
        place.private / FOLDER,
        evidence,
        findings,
        decide(findings, policy, Level.FOREIGN),
        policy,
        generator(job.seed, "reviewer"),
        about={"found": found.said, "believed": BELIEVED, "films": WEAKER},
    )
    write_json(place.audit, result)
    yield Progress("audit", 2, 2)
    return _answer(place, job, found, patients, result)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _patients(job: Foreign, place: Run, found: Found) -> Generator[Progress, None, Patients]:
    def side(role: str, source: Path, labels: Path | None) -> Generator[Progress, None, Cohort]:
        studies = Studies(
            source,
            Labelling(labels),
            size=found.images.shape[2],
            unit=job.unit,
            max_refused=job.max_refused,
            reading=job.reading,
        )
        return read_side(studies, role=role, place=place.private / role)

    members = yield from side("members", job.members, job.members_labels)
    controls = yield from side("controls", job.controls, job.controls_labels)
    return sides(members, controls, found.classes or members.classes)


def _evidence(
    job: Foreign,
    data: bytes,
    found: Found,
    nulls: dict[Path, list[Found]],
    patients: Patients,
) -> Evidence:
    classes, size = len(patients.cohort.classes), found.images.shape[2]
    where = device(job.device)
    networks = built(classes, size, job.width)
    recipe = Recipe("foreign", None, "", classes, len(found.images) // classes, {}, networks)
    outgoing = {job.release.name: data}
    release = released(job.release, found, classes)
    null_releases = [
        null_release(path, one, release) for path, several in nulls.items() for one in several
    ]
    return Evidence(
        release=release,
        members=patients.members,
        controls=patients.controls,
        nulls=Nulls(tuple(null_releases), None) if null_releases else None,
        fits=recipients(recipe, seed=job.seed, device=where),
        matches=[
            kind(recipe, derived(job.seed, "matched", number), where)
            for kind in (embedding, gradient)
            for number in range(NETWORKS // 2)
        ],
        unit=patients.unit,
        outgoing=outgoing,
        manifest=hashes(outgoing),
        is_identifier=identifier_of(patients),
        digits=FOREIGN,
    )


def _judged(job: Foreign, evidence: Evidence, policy: Policy) -> Json:
    """Returns the audit, with the questions that it does not answer."""
    result = judged(evidence, policy, Level.FOREIGN, generator(job.seed, "audit", "foreign"))
    open_ = untested(finding["audit"] for finding in result["findings"])
    gaps = ", ".join(f"{one['name']} ({one['audit']})" for one in open_)
    limits = f"Not tested: {gaps}. {BELIEVED} {WEAKER}"
    words = {name: f"{result[name]} {limits}" for name in ("wording", "public wording")}
    return result | words | {"not asked": open_}


def _answer(place: Run, job: Foreign, found: Found, patients: Patients, result: Json) -> Answer:
    classes = ", ".join(f"{i} = {name}" for i, name in enumerate(patients.cohort.classes))
    order = "" if found.classes else ", in sorted order: the file names no classes, so check this"
    lines = [
        f"{job.release}: {found.said}",
        f"classes: {classes}{order}",
        *(
            f"{role}: {len(films.ids)} patients, {len(films)} films"
            for role, films in (("members", patients.members), ("controls", patients.controls))
        ),
        *(() if job.nulls else (UNCALIBRATED,)),
        "",
        *(f"{f['audit']}  {f['verdict']:<12}  {f['text']}" for f in result["findings"]),
        "",
        f"{place.path}: {result['verdict']}: {result['wording']}",
        f"internal report, must not leave the hospital: {place.private / FOLDER / PAGE}",
    ]
    return Answer(lines, {"run": str(place.path), "found": found.said, **result})


def job_of(given: Mapping[str, str], options: Mapping[str, Any]) -> Audit | Foreign:
    """Returns the one of the two audits that the user asks for.

    Args:
        given: the options that the user named, by field, as they are written.
        options: the values of all options.

    Raises:
        Stop: the options name neither, or both.
    """
    kind: type[Audit | Foreign] = Foreign if options["run"] is None else Audit
    fields = {field.name for field in dataclasses.fields(kind)}
    if kind is Foreign and not {"release", "members", "controls"} <= given.keys():
        raise Stop(
            "nothing to audit: name a RUN; or, for a set that somebody else made, --release, "
            "--members and --controls",
            Exit.USAGE,
        )
    named = {name: flag for name, flag in given.items() if name in options}
    if stray := ", ".join(flag for name, flag in named.items() if name not in fields):
        owner, other = ("a set", "a RUN") if kind is Audit else ("a RUN", "a set")
        raise Stop(f"{stray}: for {owner}, not for {other}; leave out one of the two", Exit.USAGE)
    return kind(**{name: value for name, value in options.items() if name in fields})
