"""A7: groups, who is atypical, and how often a group is wrongly accused."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from invented_radiographs import cohort, evidence, noise
from torch import Tensor
from torch.nn import functional as F

from privacy import Films, Policy, Release, Verdict
from privacy.attacks.tail import (
    NEIGHBOURS,
    atypicality,
    exposed_groups,
    groups,
    judge_groups,
    most_atypical,
)
from privacy.attacks.views import VIEWS, shrink, standardise
from privacy.statistics.scores import Scores


def match(release: Release) -> Callable[[Tensor, Tensor], Tensor]:  # noqa: ARG001
    return lambda images, labels: F.avg_pool2d(images, 4).flatten(1)  # noqa: ARG005


def scored(films: Films, members: int, rng: torch.Generator, leak: Tensor | float = 0.0) -> Scores:
    values, strata = torch.randn(len(films.ids), generator=rng), films.strata
    values[:members] += leak if isinstance(leak, float) else leak[:members]
    return Scores(values[:members], values[members:], strata[:members], strata[members:])


def with_traits(n: int, rng: torch.Generator) -> Films:
    """Returns tiny films of n patients, each of a sex and at one of three devices."""
    sex = ["FM"[i] for i in torch.randint(2, (n,), generator=rng)]
    device = [f"d{i}" for i in torch.randint(3, (n,), generator=rng)]
    images = torch.randn(n, 1, 4, 4, generator=rng)
    return Films(images, torch.arange(n) % 2, range(n), {"sex": sex, "device": device})


def named(films: Films, scores: Scores) -> dict[str, tuple[int, int]]:
    return {group.name: group.sizes for group in groups(films, scores)}


def test_atypicality_is_the_mean_distance_to_the_five_nearest_others_of_the_class(
    rng: torch.Generator,
) -> None:
    films = cohort(20, rng, extra=8)
    view = VIEWS["low-pass 2"]
    seen = standardise(view(shrink(films.images))).flatten(1)
    for i in range(len(films)):
        others = [
            j
            for j in range(len(films))
            if films.labels[j] == films.labels[i] and films.patients[j] != films.patients[i]
        ]
        distances = sorted(float((seen[i] - seen[j]).norm()) for j in others)
        expected = np.mean(distances[:NEIGHBOURS])
        assert float(atypicality(films)[i]) == pytest.approx(expected, rel=1e-4)


def test_contrast_makes_no_film_atypical(rng: torch.Generator) -> None:
    films = cohort(40, rng)
    duller = Films(films.images.clone(), films.labels, films.patients)
    duller.images[3] = 0.3 + 0.4 * duller.images[3]
    torch.testing.assert_close(atypicality(duller), atypicality(films), atol=1e-3, rtol=0)


def test_films_that_are_like_no_other_are_the_most_atypical(rng: torch.Generator) -> None:
    films = cohort(60, rng)
    strange = [4, 10, 15, 21, 33, 50]
    films.images[strange] = torch.rand(len(strange), 1, 1, 32, generator=rng).expand(-1, -1, 32, 32)
    chosen = most_atypical(films)
    assert chosen.nonzero().flatten().tolist() == strange


def test_a_film_without_another_of_its_class_is_at_no_distance(rng: torch.Generator) -> None:
    films = cohort(3, rng)
    assert atypicality(films)[1] == 0
    assert atypicality(films).isfinite().all()


def test_groups_are_classes_and_traits_that_are_large_enough(rng: torch.Generator) -> None:
    films = with_traits(200, rng)
    films.traits["sex"][:4] = ["X"] * 4  # type: ignore[index]
    films.traits["sex"][4:100] = [""] * 96  # type: ignore[index]
    scores = scored(films, 100, rng)
    found = named(films, scores)
    # The members' sex is unknown but for four: no sex can be judged.
    assert set(found) == {"class 0", "class 1", "device d0", "device d1", "device d2"}
    device = films.traits["device"]
    expected = tuple(sum(d == "d1" for d in part) for part in (device[:100], device[100:]))
    assert found["device d1"] == expected
    assert found["class 0"] == (50, 50)
    words = {group.name: group.words for group in groups(films, scores, ("normal", "pneumonia"))}
    assert words["class 1"] == "class pneumonia"


def test_the_same_patients_are_no_second_group(rng: torch.Generator) -> None:
    films = with_traits(120, rng)
    films.traits["sex"][:] = [("F", "M")[int(label)] for label in films.labels]  # type: ignore[index]
    films.traits["device"][:] = ["one"] * 120  # type: ignore[index]
    assert set(named(films, scored(films, 60, rng))) == {"class 0", "class 1"}


def test_a_patient_with_films_at_two_devices_is_in_both_groups(rng: torch.Generator) -> None:
    few = cohort(50, rng, extra=50)
    films = Films(few.images, few.labels, few.patients, {"device": ["a"] * 50 + ["b"] * 50})
    half = Films(few.images, few.labels, few.patients, {"device": ["a"] * 90 + ["b"] * 10})
    # All patients are at both devices, so neither is a group of its own.
    assert "device a" not in named(films, scored(films, 25, rng))
    assert "device b" not in named(half, scored(half, 25, rng))


def test_groups_that_leak_just_up_to_the_limit_are_accused_in_at_most_five_percent(
    policy: Policy, rng: torch.Generator
) -> None:
    verdicts = []
    for _ in range(20):
        films = with_traits(200, rng)
        scores = scored(films, 100, rng, policy.largest_mu)
        verdicts.append(judge_groups(scores, films, policy, rng, calibrated=True).verdict)
    # 0.05 and two standard errors of 20 draws
    assert np.mean([v is Verdict.FAIL for v in verdicts]) <= 0.15


@pytest.mark.parametrize(
    ("group", "said"),
    [
        ("atypical", "'most atypical 10%'"),
        ("device d1", "'one device (make and model as keyed hash d1)'"),
    ],
)
def test_a_leak_to_one_group_is_seen_and_named_in_words(
    group: str, said: str, policy: Policy, rng: torch.Generator
) -> None:
    films = with_traits(300, rng)
    whose = {
        "atypical": most_atypical(films),
        "device d1": torch.tensor([d == "d1" for d in films.traits["device"]]),
    }
    scores = scored(films, 150, rng, 4.0 * whose[group])
    finding = judge_groups(scores, films, policy, rng, calibrated=True)
    assert finding.verdict is Verdict.FAIL
    assert said in finding.text
    (everybody, *rows) = finding.details["groups"]
    assert everybody["group"] == "everybody"
    (found,) = [row for row in rows if group in row["group"]]
    assert found["auc"] > 0.95
    assert found["low"] == finding.low > policy.largest_auc > everybody["low"]


def test_without_large_groups_the_text_says_so(policy: Policy, rng: torch.Generator) -> None:
    films = with_traits(30, rng)
    finding = judge_groups(scored(films, 15, rng), films, policy, rng, calibrated=True)
    assert finding.verdict is Verdict.PASS
    assert "No group has 20 members and 20 controls" in finding.text
    assert finding.low <= finding.value <= finding.high


def test_scores_that_are_no_numbers_are_invalid(policy: Policy, rng: torch.Generator) -> None:
    films = with_traits(100, rng)
    scores = scored(films, 50, rng)
    scores.members[0] = torch.nan
    found = judge_groups(scores, films, policy, rng, calibrated=True)
    assert found.verdict is Verdict.INVALID


def test_a_release_of_the_atypical_films_is_refused_though_the_average_hides_it(
    members: Films, controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    case = evidence(noise(6, rng), members, controls, matches=[match])
    chosen = most_atypical(case.everybody)[: len(members.ids)]
    few = members.of({members.ids[i] for i in chosen.nonzero().flatten().tolist()})
    leak = Release(few.images, F.one_hot(few.labels, 2).float())
    finding = exposed_groups(evidence(leak, members, controls, matches=[match]), policy, rng)
    assert finding.verdict is Verdict.FAIL
    assert "most atypical" in finding.text
    everybody = finding.details["groups"][0]
    assert everybody["low"] < policy.largest_auc
    clean = exposed_groups(case, policy, rng)
    assert clean.verdict is Verdict.PASS
