"""The referee: judges whether a set of synthetic images may leave the hospital.

It knows tensors and files, but no methods and no DICOM. It can judge any release.
"""

from privacy.decision import Decision, decide, wording
from privacy.evidence import Audit, Evidence, Fit
from privacy.finding import Finding, Verdict
from privacy.nulls import Nulls, folds
from privacy.policy import Level, Policy, load_policy
from privacy.release import Films, Release
from privacy.suite import AUDITS, audit

__all__ = [
    "AUDITS",
    "Audit",
    "Decision",
    "Evidence",
    "Films",
    "Finding",
    "Fit",
    "Level",
    "Nulls",
    "Policy",
    "Release",
    "Verdict",
    "audit",
    "decide",
    "folds",
    "load_policy",
    "wording",
]
