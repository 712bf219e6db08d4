"""A study on paper: how many films and patients there are, and which runs are made of them."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from medidd.denoisers.presets import usual
from medidd.dicom.errors import CohortError, TooManyRefused
from medidd.dicom.folder.gathering import Gathered
from medidd.dicom.folder.patients import require_consistent
from medidd.dicom.folder.plan import Plan, make_plan
from medidd.dicom.folder.scan import scan
from medidd.experts.trajectories import Experts
from medidd.split import Role, share_of
from pipelines.evaluation.rehearsal import Crowd
from pipelines.learning.beforehand.kinds import needed
from pipelines.learning.job import FrozenJob
from pipelines.learning.processor import device
from pipelines.learning.recipe import usual_method, usual_start
from pipelines.run.budget import Budget
from pipelines.run.errors import Exit, Stop
from pipelines.run.films import Studies
from pipelines.run.installation import key

AuditLevel = Literal["none", "screen", "standard", "full"]


@dataclass(frozen=True)
class Study:
    """A run for each method, number of images per class and seed, on the same films.

    Attributes:
        ipcs: images per class.
        studies: the folder; None to plan with ``films``, ``patients`` and ``classes``.
        films: films in all.
        patients: patients in all.
        classes: K.
        size: height and width in pixels.
        methods: methods or starts; none for the one by default.
        seeds: number of seeds.
        budget: the guarantee of each run; None for releases without one.
        audit: how thoroughly each run is audited.
        experts_count: experts of a seed, for the methods that match them.
        workers: processes that share the work.
        steps: updates of S; None for each method's own number.
        preset: source of the fields that are not set.
        settings: the methods' own fields.
        width: filters per block of the ConvNet.
        device: "auto", "cpu" or "cuda".
        threads: of the CPU, per process.
        precision: of convolutions.
    """

    ipcs: Sequence[int]
    studies: Studies | None = None
    films: int | None = None
    patients: int | None = None
    classes: int = 2
    size: int = 64
    methods: Sequence[str] = ()
    seeds: int = 1
    budget: Budget | None = None
    audit: AuditLevel = "standard"
    experts_count: int = 10
    workers: int = 1
    steps: int | None = None
    preset: str = "default"
    settings: Mapping[str, Any] = field(default_factory=dict)
    width: int = 32
    device: str = "auto"
    threads: int = 1
    precision: str = "float32"

    def kinds(self) -> list[FrozenJob]:
        """Returns one job for each method and number of images per class.

        Raises:
            Stop: a name or a setting does not exist.
        """
        private = self.budget is not None
        methods = list(dict.fromkeys(self.methods)) or [usual_method(private=private)]
        where, size = device(self.device).type, self.studies.size if self.studies else self.size
        kinds = [
            FrozenJob(
                source="",
                labelling={},
                unit="patient",
                method=method,
                start=usual_start(method, private=private),
                ipc=ipc,
                size=size,
                steps=self.steps,
                preset=self.preset,
                settings=dict(self.settings),
                experts=self._beforehand(method, size).get("experts"),
                denoiser=self._beforehand(method, size).get("denoiser"),
                width=self.width,
                seed=0,
                device_name=where,
                threads=self.threads,
                precision=self.precision,
                max_refused=1.0,
                budget=self.budget,
            )
            for method in methods
            for ipc in dict.fromkeys(self.ipcs)
        ]
        for kind in kinds:
            kind.recipe(self.classes)
        return kinds

    def _beforehand(self, method: str, size: int) -> dict[str, Any]:
        """Returns how what a method needs is trained by default, by its kind.

        Raises:
            Stop: there is no denoiser of such images.
        """
        kind = needed(method)
        if kind is None:
            return {}
        if kind.name == "denoiser":
            preset = "cpu" if device(self.device).type == "cpu" else "gpu"
            try:
                return {kind.name: usual(preset, size).to_json()}
            except ValueError as error:
                raise Stop(f"--size: {error}", Exit.USAGE) from None
        default = {of.name: of.default for of in dataclasses.fields(Experts)}
        del default["network"]
        return {kind.name: default | {"count": self.experts_count}}


@dataclass(frozen=True)
class Numbers:
    """How many there are.

    Attributes:
        films: in all.
        patients: in all.
        classes: K.
        members: films to learn from.
        controls: films of the patients who are held out.
        test: films to test on: those of a test split, else the controls.
        largest: films to learn from of the largest class.
    """

    films: int
    patients: int
    classes: int
    members: int
    controls: int
    test: int
    largest: int

    @property
    def of_null(self) -> int:
        """Films of the largest class that a null release learns from: four of five folds."""
        return max(round(0.8 * self.controls * self.largest / max(self.members, 1)), 1)

    @classmethod
    def told(cls, study: Study) -> "Numbers":
        """Returns the numbers of a study without a folder; all classes are of one size.

        Raises:
            Stop: they do not fit each other.
        """
        films, patients, k = study.films, study.patients, study.classes
        if films is None or patients is None:
            raise Stop(
                "name a folder by --dicom-dir, or say how many there are by --films and --patients",
                Exit.USAGE,
            )
        if films < patients:
            raise Stop(
                f"--films: {films} films cannot be of {patients} patients; each has at least one",
                Exit.USAGE,
            )
        if patients < 2 * k:
            raise Stop(
                f"--patients: {patients} patients are too few for {k} classes; each class needs at "
                "least two",
                Exit.USAGE,
            )
        share = share_of(patients) if study.budget is None else study.budget.held_out
        controls = round(share * films)
        members = films - controls
        return cls(films, patients, k, members, controls, controls, -(-members // k))

    @classmethod
    def counted(cls, crowd: Crowd) -> "Numbers":
        """Returns the numbers of films that were looked at."""
        roles = Counter(crowd.roles[one] for one in crowd.patients)
        of_class = Counter(
            label
            for label, one in zip(crowd.labels, crowd.patients, strict=True)
            if crowd.roles[one] == "member"
        )
        return cls(
            films=len(crowd.labels),
            patients=len(crowd.roles),
            classes=len(set(crowd.labels)),
            members=roles["member"],
            controls=roles["control"],
            test=roles["test"] or roles["control"],
            largest=max(of_class.values()),
        )


def looked_at(studies: Studies) -> Plan:
    """Returns what a cohort of a folder would hold; reads the headers.

    Raises:
        Stop: the folder gives no cohort.
    """
    try:
        seen = Gathered.under(studies.folder, studies.labels, key(), studies.unit, studies.reading)
        for found in scan(studies.folder, studies.reading):
            seen.add(found)
        plan = make_plan(studies.folder, seen, size=studies.size, reading=studies.reading)
        plan.require_usable(studies.folder, studies.max_refused)
        if studies.strict:
            require_consistent(plan.evidence)
    except TooManyRefused as error:
        raise Stop(str(error), Exit.REFUSED_FILES) from None
    except CohortError as error:
        raise Stop(str(error), Exit.DATA) from None
    return plan


def crowd_of(plan: Plan, frozen: FrozenJob) -> Crowd:
    """Returns whom films are of, with the roles that a run would give them.

    Raises:
        Stop: a class has too few patients.
    """
    try:
        return Crowd.of(plan, frozen)
    except ValueError as error:
        raise Stop(str(error), Exit.DATA) from None


def invented(numbers: Numbers, patients: int) -> Crowd:
    """Returns so many patients with as many films each as in ``numbers``, in the same shares."""
    each = max(round(numbers.films / numbers.patients), 1)
    people = max(min(patients, numbers.patients), 4 * numbers.classes)
    held = min(max(numbers.controls / numbers.films, 2 * numbers.classes / people), 0.5)
    roles: dict[int, Role] = {}
    for place in range(people):
        turn = place // numbers.classes  # so that every class has its share
        drawn = int((turn + 1) * held) > int(turn * held)
        roles[place] = "control" if drawn else "member"
    owners = [place for place in range(people) for _ in range(each)]
    return Crowd([place % numbers.classes for place in owners], owners, roles)
