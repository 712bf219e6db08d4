"""Which runs may stand beside each other, by what they say of themselves."""

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from invented_cohort import Made

from pipelines.comparison.alike import apart, reference
from pipelines.comparison.leakage import leakage
from pipelines.comparison.rows import rows
from pipelines.comparison.runs import Compared, compared
from pipelines.run.store import Run


@pytest.fixture(scope="module")
def one(made: Made) -> Compared:
    return compared(Run(made.path))


def stating(run: Compared, sha256: str = "b", **facts: Any) -> Compared:
    """The run as if its release said something else of itself."""
    release = replace(run.release, facts={**deepcopy(run.facts), **facts})
    return replace(run, release=release, sha256=sha256)


def test_other_networks_versions_classes_and_readings_set_runs_apart(one: Compared) -> None:
    training, reading = one.facts["training"], one.facts["reading"]
    told = {
        "tested with networks that differ: width 8, not 4": {"training": training | {"width": 8}},
        "made by medidd 0.0.1, not": {"versions": one.facts["versions"] | {"medidd": "0.0.1"}},
        "other films, patients or classes": {"classes": ["a", "b"]},
        "films were read with other options": {"reading": reading | {"crop": "none"}},
    }
    for text, facts in told.items():
        (said,) = apart(stating(one, **facts), one)
        assert said.startswith(text)
    # The films tell how labels were read; where they were deleted, the job does.
    other = replace(one, labelling=one.labelling | {"unit": "study"})
    assert apart(other, one) == []
    purged = replace(other, cohort=replace(one.cohort, films=""))
    assert apart(purged, one) == ["labels or patients were read in another way"]
    others = replace(one, cohort=replace(one.cohort, films="", patients="of others"))
    assert apart(others, one) == ["other films, patients or classes"]
    # These are what a comparison is about.
    for facts in ({"method": "rfad"}, {"seed": 3}, {"training": training | {"noise": 0.5}}):
        assert apart(stating(one, **facts), one) == []


def test_most_runs_decide_which_one_is_apart(one: Compared) -> None:
    old = one.facts["versions"] | {"medidd": "0.0.1"}
    runs = [stating(one, "a", versions=old), one, stating(one, "c", seed=1)]
    assert reference(runs) is one
    told = rows(runs)
    assert [group["comparable"] for group in told["groups"]] == [True, False]
    assert [len(group["runs"]) for group in told["groups"]] == [2, 1]


def test_settings_of_a_method_that_differ_are_named_and_are_rows_of_their_own(
    one: Compared,
) -> None:
    more = one.facts["fields"] | {"steps": 7}
    told = rows([one, stating(one, fields=more, steps=7), stating(one, "c", method="rfad")])
    assert [group["settings"] for group in told["groups"]] == [{"steps": "6"}, {"steps": "7"}, {}]


def test_an_attack_that_is_not_valid_leaves_no_bound(one: Compared) -> None:
    audit = deepcopy(one.audit)
    for finding in audit["findings"]:
        if finding["audit"] == "A2":
            finding |= {"value": None, "low": None, "high": None, "details": {}}
    found = leakage(audit)
    assert (found.bound, found.attack) == (None, None)


def test_of_two_attackers_the_larger_bound_counts(one: Compared) -> None:
    audit = deepcopy(one.audit)
    finding = next(one for one in audit["findings"] if one["audit"] == "A3")
    finding["details"]["attackers"].append({"auc": 0.6, "high": 0.99, "low": 0.5})
    found = leakage(audit).attack
    assert found is not None
    assert (found.audit, found.estimate, found.bound) == ("A3", 0.6, 0.99)
