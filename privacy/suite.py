"""The audits, in the order of the report. A new audit is a file of its own and a line here."""

from torch import Generator

from privacy.attacks.canary import worst_case
from privacy.attacks.distance import distances
from privacy.attacks.membership import train_on_release
from privacy.attacks.naming import naming
from privacy.attacks.nearest import copies
from privacy.attacks.same_patient import same_patient
from privacy.attacks.set_test import set_test
from privacy.attacks.tail import exposed_groups
from privacy.attacks.tracing import tracing
from privacy.attacks.unmixing import unmixing
from privacy.attacks.validity import comparable
from privacy.evidence import Audit, Evidence
from privacy.finding import Finding
from privacy.gates.again import again
from privacy.gates.constants import constants
from privacy.gates.contents import contents
from privacy.gates.earlier import earlier_releases
from privacy.gates.leaks import leaks
from privacy.gates.manifest import manifest
from privacy.gates.patients_per_image import patients_per_image
from privacy.gates.precision import precision
from privacy.gates.start import start
from privacy.policy import Level, Policy

AUDITS: dict[str, Audit] = {
    "G1": patients_per_image,
    "G2": start,
    "G3": contents,
    "G4": leaks,
    "G5": precision,
    "G6": constants,
    "G7": earlier_releases,
    "G8": manifest,
    "G9": again,
    "A0": comparable,
    "A1": tracing,
    "A2": train_on_release,
    "A3": distances,
    "A5": copies,
    "A5b": set_test,
    "A5c": same_patient,
    "A6": unmixing,
    "A7": exposed_groups,
    "A8": worst_case,
    "A9": naming,
}


def audit(evidence: Evidence, policy: Policy, level: Level, rng: Generator) -> list[Finding]:
    """Returns the findings of every audit that the policy requires at this level.

    G9 is made also if only its evidence is there, for whoever asks for it. An audit that cannot run
    raises an error: a gap in the report must not look like a pass.
    """
    required = policy.required[level]
    asked = ("G9",) if evidence.again is not None and "G9" not in required else ()
    return [AUDITS[name](evidence, policy, rng) for name in (*required, *asked)]
