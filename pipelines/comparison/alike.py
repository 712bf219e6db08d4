"""Which runs may be compared, and why others may not: nothing is mixed without a word.

Everything is said against one run, the one that most others can be compared with.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.comparison.leakage import kind
from pipelines.comparison.runs import Compared

_OWN_NOISE = "noise"
"""A recipient of a release with a guarantee trains with noise; this is part of the release."""


def reference(runs: Sequence[Compared]) -> Compared:
    """Returns the run that most others can be compared with; of several, the first."""
    return max(runs, key=lambda one: sum(not apart(other, one) for other in runs))


def apart(one: Compared, other: Compared) -> list[str]:
    """Returns why the AUC of a run says nothing beside that of another; empty if it does."""
    mine, theirs = one.cohort, other.cohort
    said = []
    known = mine.films and theirs.films
    if (
        mine.patients != theirs.patients
        or one.facts["classes"] != other.facts["classes"]
        or (known and mine.films != theirs.films)
    ):
        said.append("other films, patients or classes")
    elif not known and one.labelling != other.labelling:
        said.append("labels or patients were read in another way")
    if one.facts["reading"] != other.facts["reading"]:
        said.append("films were read with other options")
    told = [dict(run.facts["training"], **{_OWN_NOISE: 0}) for run in (one, other)]
    if different := _different(*told):
        said.append(f"tested with networks that differ: {different}")
    versions = [run.facts["versions"]["medidd"] for run in (one, other)]
    if versions[0] != versions[1]:
        said.append(f"made by medidd {versions[0]}, not {versions[1]}")
    return said


def remarks(one: Compared, alike: Sequence[Compared], usual: tuple[str, str, str]) -> list[str]:
    """Returns what must be known of a run that may be compared.

    Args:
        one: the run.
        alike: all runs that may be compared, with the reference first.
        usual: how audits attacked, see ``usual_audit``.
    """
    said = []
    beside = next((run for run in alike if run.facts["seed"] == one.facts["seed"]), alike[0])
    if beside.cohort.tested != one.cohort.tested:
        said.append("tested on other patients of the same films")
    if not one.cohort.films:
        said.append("its films were deleted, so only its patients could be compared")
    parts = [pair for pair in zip(kind(one.audit), usual, strict=True) if pair[0] != pair[1]]
    if parts:
        own, others = (", ".join(words) for words in zip(*parts, strict=True))
        said.append(f"audited {own}; most others {others}")
    return said


def usual_audit(runs: Sequence[Compared]) -> tuple[str, str, str]:
    """Returns how most releases without a guarantee were attacked; where there are none, of all."""
    bare = [run for run in runs if run.epsilon is None] or runs
    return Counter(kind(run.audit) for run in bare).most_common(1)[0][0]


def _different(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    names = sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
    return ", ".join(f"{name} {one.get(name)}, not {other.get(name)}" for name in names)
