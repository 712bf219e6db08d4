"""The audits, in the order of the report. A new audit is a file of its own and a line here."""

from torch import Generator

from privacy.canary import worst_case
from privacy.constants import constants
from privacy.contents import contents
from privacy.distance import distances
from privacy.earlier import earlier_releases
from privacy.evidence import Audit, Evidence
from privacy.finding import Finding
from privacy.leaks import leaks
from privacy.manifest import manifest
from privacy.membership import train_on_release
from privacy.nearest import copies
from privacy.patients_per_image import patients_per_image
from privacy.policy import Level, Policy
from privacy.precision import precision
from privacy.same_patient import same_patient
from privacy.set_test import set_test
from privacy.start import start
from privacy.tail import exposed_groups
from privacy.tracing import tracing
from privacy.union import union
from privacy.unmixing import unmixing
from privacy.validity import comparable

AUDITS: dict[str, Audit] = {
    "G1": patients_per_image,
    "G2": start,
    "G3": contents,
    "G4": leaks,
    "G5": precision,
    "G6": constants,
    "G7": earlier_releases,
    "G8": manifest,
    "A0": comparable,
    "A1": tracing,
    "A2": train_on_release,
    "A3": distances,
    "A4": union,
    "A5": copies,
    "A5b": set_test,
    "A5c": same_patient,
    "A6": unmixing,
    "A7": exposed_groups,
    "A8": worst_case,
}


def audit(evidence: Evidence, policy: Policy, level: Level, rng: Generator) -> list[Finding]:
    """Returns the findings of every audit that the policy requires at this level.

    An audit that cannot run raises: a gap in the report must not look like a pass.
    """
    return [AUDITS[name](evidence, policy, rng) for name in policy.required[level]]
