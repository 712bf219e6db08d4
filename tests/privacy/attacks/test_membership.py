"""A2 against networks whose knowledge of the members is known."""

import numpy as np
import pytest
import torch
from invented_radiographs import evidence, mlp, noise
from torch import Tensor
from torch.nn import functional as F

from privacy import Films, Nulls, Policy, Release, Verdict, folds
from privacy.attacks.attack import Scored, judge
from privacy.attacks.membership import confidence, logit, train_on_release
from privacy.statistics.scores import Scores


def random_labels(films: Films, seed: int) -> Films:
    drawn = torch.randint(2, (len(films.ids),), generator=torch.Generator().manual_seed(seed))
    return Films(films.images, drawn[films.patient], films.patients)


def everything(films: Films) -> Release:
    return Release(films.images, F.one_hot(films.labels, 2).float())


def test_logit_stays_exact_where_the_probability_rounds_to_one() -> None:
    scores = torch.tensor([[60.0, 0.0, -3.0], [1.0, 2.0, 3.0]], dtype=torch.float64)
    found = logit(scores.log_softmax(1), torch.tensor([0, 1]))
    others = torch.tensor([[0.0, -3.0], [1.0, 3.0]], dtype=torch.float64).logsumexp(1)
    torch.testing.assert_close(found, torch.tensor([60.0, 2.0]).double() - others)


def test_confidence_is_the_mean_over_networks_and_mirror_images(members: Films) -> None:
    def fit(release: Release) -> object:
        weight = torch.linspace(-1, 1, 32) * float(release.images.mean())
        return lambda x: torch.stack(
            [(x * weight).sum((1, 2, 3)), 0 * x[:, 0, 0, 0]], 1
        ).log_softmax(1)

    few = Films(members.images[:4], members.labels[:4], members.patients[:4])
    # Mirrored, this network's opinion is its opposite, so the two cancel.
    found = confidence([fit], everything(few), few)  # type: ignore[list-item]
    torch.testing.assert_close(found, torch.zeros(4).double(), atol=1e-4, rtol=0)


def test_a_release_of_all_films_with_random_labels_is_caught(
    members: Films, controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    inside, outside = random_labels(members, 1), random_labels(controls, 2)
    case = evidence(everything(inside), inside, outside, fits=[mlp(0), mlp(1)])
    finding = train_on_release(case, policy, rng)
    assert finding.verdict is Verdict.FAIL
    assert finding.value > 0.9


def test_untrained_networks_know_nothing(
    members: Films, controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    inside, outside = random_labels(members, 1), random_labels(controls, 2)
    case = evidence(everything(inside), inside, outside, fits=[mlp(s, epochs=0) for s in range(3)])
    finding = train_on_release(case, policy, rng)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert abs(finding.value - 0.5) < 0.12


def test_noise_with_null_releases_passes(
    members: Films, controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    fold_of = folds(members, rng) | folds(controls, rng)
    nulls = Nulls(tuple(noise(6, rng) for _ in range(5)), fold_of)
    case = evidence(noise(6, rng), members, controls, nulls=nulls, fits=[mlp(0, epochs=20)])
    finding = train_on_release(case, policy, rng)
    assert finding.verdict is Verdict.PASS
    assert finding.details["residual risk"] == "not assessable"


def normal_scores(rng: torch.Generator, n: int, leak: float = 0.0) -> Scores:
    members, controls = torch.randn(2, n, generator=rng)
    strata = torch.arange(n) % 2
    return Scores(members + leak, controls, strata, strata)


def twice(scores: Scores) -> Scored:
    """Returns the scores of two attackers to whom null releases tell nothing."""
    return Scored(scores, scores)


def test_the_stronger_evidence_decides(policy: Policy, rng: torch.Generator) -> None:
    leak, none = normal_scores(rng, 200, 1.2), normal_scores(rng, 200)
    assert judge("A2", "", twice(none), policy, rng).verdict is Verdict.PASS
    for scored in (Scored(leak, none), Scored(none, leak), Scored(leak, None)):
        finding = judge("A2", "", scored, policy, rng)
        assert finding.verdict is Verdict.FAIL
        assert finding.value > 0.7
        assert finding.text.startswith("This release leaks")
    both = judge("A2", "", Scored(leak, none), policy, rng).details["attackers"]
    assert [one["auc"] > 0.7 for one in both] == [True, False]
    assert "not whose were used" in both[0]["knows"]
    assert "releases" in both[1]["knows"]


def test_one_attacker_who_may_reach_the_limit_is_enough_not_to_pass(
    policy: Policy, rng: torch.Generator
) -> None:
    even = torch.special.ndtri((torch.arange(200) + 0.5) / 200)
    little, none = Scores(even + 0.42, even), Scores(even, even)
    assert judge("A2", "", twice(none), policy, rng).verdict is Verdict.PASS
    for scored in (Scored(little, none), Scored(none, little)):
        assert judge("A2", "", scored, policy, rng).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("n", [30, 60, 150])
def test_leak_free_releases_fail_in_at_most_five_percent(
    n: int, policy: Policy, rng: torch.Generator
) -> None:
    verdicts = [
        judge("A2", "", twice(normal_scores(rng, n)), policy, rng).verdict for _ in range(30)
    ]
    assert np.mean([v is Verdict.FAIL for v in verdicts]) <= 0.05
    passes = np.mean([v is Verdict.PASS for v in verdicts])
    assert passes == 0 if n < policy.least_controls else passes > 0.6


@pytest.mark.parametrize("n", [60, 150])
def test_releases_that_leak_just_up_to_the_limit_pass_in_at_most_five_percent(
    n: int, policy: Policy, rng: torch.Generator
) -> None:
    verdicts = [
        judge("A2", "", twice(normal_scores(rng, n, policy.largest_mu)), policy, rng)
        for _ in range(30)
    ]
    # 0.05 and three standard errors of 30 draws
    assert np.mean([v.verdict is Verdict.PASS for v in verdicts]) <= 0.17


def test_a_leak_to_few_patients_shows_in_the_tail_alone(
    policy: Policy, rng: torch.Generator
) -> None:
    leak: Tensor = torch.zeros(200)
    leak[:60] = 8.0
    scores = Scores(torch.randn(200, generator=rng) + leak, torch.randn(200, generator=rng))
    finding = judge("A2", "", twice(scores), policy, rng)
    assert finding.verdict is Verdict.FAIL
    assert finding.details["residual risk"]["low"] > policy.residual_risk


def test_without_null_releases_nothing_passes(policy: Policy, rng: torch.Generator) -> None:
    finding = judge("A2", "", Scored(normal_scores(rng, 300), None), policy, rng)
    assert finding.verdict is Verdict.INCONCLUSIVE


def test_a_score_that_is_no_number_is_invalid(policy: Policy, rng: torch.Generator) -> None:
    scores = Scores(torch.tensor([0.0, float("nan")]), torch.zeros(60))
    assert judge("A2", "", twice(scores), policy, rng).verdict is Verdict.INVALID
