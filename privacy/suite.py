"""The audits, in the order of the report. A new audit is a file of its own and a line here."""

from torch import Generator

from privacy.evidence import Audit, Evidence
from privacy.finding import Finding
from privacy.leaks import leaks
from privacy.manifest import manifest
from privacy.membership import train_on_release
from privacy.nearest import copies
from privacy.patients_per_image import patients_per_image
from privacy.policy import Level, Policy
from privacy.start import start

AUDITS: dict[str, Audit] = {
    "G1": patients_per_image,
    "G2": start,
    "G4": leaks,
    "G8": manifest,
    "A5": copies,
    "A2": train_on_release,
}


def audit(evidence: Evidence, policy: Policy, level: Level, rng: Generator) -> list[Finding]:
    """Returns the findings of every audit that the policy requires at this level.

    An audit that cannot run raises: a gap in the report must not look like a pass.
    """
    return [AUDITS[name](evidence, policy, rng) for name in policy.required[level]]
