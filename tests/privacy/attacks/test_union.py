"""A4: what three attacks know together, and that adding them up invents nothing."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from invented_radiographs import cohort, evidence, mlp, noise
from torch import Tensor
from torch.nn import functional as F

from privacy import Evidence, Films, Level, Nulls, Policy, Release, Verdict, decide, folds
from privacy.attacks.attack import judge
from privacy.attacks.union import ATTACKS, scores, union
from privacy.statistics.scores import Scores, auc, null_se, together


def flat(images: Tensor, labels: Tensor) -> Tensor:  # noqa: ARG001
    """Returns the pixels, as if a method matched their mean."""
    return images.flatten(1)


def three(n: int, rng: torch.Generator, shift: float = 0.0, shared: float = 0.3) -> list[Scores]:
    """Returns three correlated attacks' scores on very different scales."""
    common = torch.randn(2 * n, generator=rng).double()
    attacks = []
    for scale in (1.0, 100.0, 0.01):
        own = torch.randn(2 * n, generator=rng).double()
        values = (1 - shared) ** 0.5 * own + shared**0.5 * common
        values[:n] += shift
        strata = torch.arange(n) % 2
        attacks.append(Scores(scale * values[:n], scale * values[n:], strata, strata))
    return attacks


def test_the_sum_weighs_attacks_alike_in_every_class() -> None:
    strata = torch.tensor([0, 0, 1]), torch.tensor([0, 1, 1])
    one = Scores(torch.tensor([1.0, 2.0, 50.0]), torch.tensor([3.0, 10.0, 90.0]), *strata)
    same = Scores(torch.full((3,), 7.0), torch.full((3,), 7.0), *strata)
    found = together([one, same])
    classes = np.array([1.0, 2.0, 3.0]), np.array([50.0, 10.0, 90.0])
    expected = [(values - values.mean()) / values.std() / 2 for values in classes]
    np.testing.assert_allclose(found.members, [*expected[0][:2], expected[1][0]])
    np.testing.assert_allclose(found.controls, [expected[0][2], *expected[1][1:]])
    assert found.member_strata is one.member_strata


def test_without_leakage_the_sum_is_at_chance_and_no_wider_than_the_null_error(
    rng: torch.Generator,
) -> None:
    values = np.array([auc(together(three(40, rng))) for _ in range(500)])
    error = null_se([(20, 20)] * 2)
    assert values.mean() == pytest.approx(0.5, abs=3 * error / np.sqrt(500))
    assert values.std() == pytest.approx(error, rel=0.1)


def test_a_leak_split_over_three_weak_attacks_shows_in_their_sum(rng: torch.Generator) -> None:
    attacks = three(2000, rng, shift=0.4)
    assert auc(together(attacks)) > max(map(auc, attacks)) + 0.02


def test_four_attacks_fail_few_releases_without_leakage(
    policy: Policy, rng: torch.Generator
) -> None:
    names = ("A1", "A2", "A3", "A4")
    only = policy.model_copy(update={"statistical": names, "required": dict.fromkeys(Level, names)})
    verdicts = []
    for _ in range(12):
        attacks = three(60, rng)
        findings = [
            judge(name, name, one, policy, rng, calibrated=True)
            for name, one in zip(names, [*attacks, together(attacks)], strict=True)
        ]
        verdicts.append(decide(findings, only, Level.STANDARD).verdict)
    assert Verdict.FAIL not in verdicts
    assert verdicts.count(Verdict.PASS) >= 6


@pytest.fixture(scope="module")
def clean() -> Evidence:
    rng = torch.Generator().manual_seed(8)
    members, controls = cohort(80, rng, "IN", extra=10), cohort(80, rng, "OUT", extra=10)
    nulls = Nulls(
        tuple(noise(4, rng) for _ in range(5)), folds(members, rng) | folds(controls, rng)
    )
    return evidence(
        noise(4, rng),
        members,
        controls,
        nulls=nulls,
        fits=[mlp(0, epochs=10)],
        matches=[lambda release: flat],  # noqa: ARG005
    )


def test_noise_does_not_fail(clean: Evidence, policy: Policy, rng: torch.Generator) -> None:
    finding = union(clean, policy, rng)
    assert finding.audit == "A4"
    assert finding.verdict is Verdict.PASS


def test_a_release_of_all_films_fails(
    clean: Evidence, policy: Policy, rng: torch.Generator
) -> None:
    members = clean.members
    films = Release(members.images, F.one_hot(members.labels, 2).float())
    case = replace(clean, release=films)
    finding = union(case, policy, rng)
    assert finding.verdict is Verdict.FAIL
    parts = [auc(attack(case)) for attack in ATTACKS.values()]
    assert finding.value > sorted(parts)[1]


def test_the_union_is_that_of_the_attacks_in_the_list(clean: Evidence) -> None:
    expected = together([attack(clean) for attack in ATTACKS.values()])
    assert list(ATTACKS) == ["A1", "A2", "A3"]
    torch.testing.assert_close(scores(clean).members, expected.members)


def test_an_attack_that_cannot_run_is_not_left_out(clean: Evidence) -> None:
    for lacking in ({"matches": ()}, {"fits": ()}):
        with pytest.raises(ValueError, match="needs at least one"):
            scores(replace(clean, **lacking))  # type: ignore[arg-type]


def test_films_may_come_from_patients_of_several_classes(rng: torch.Generator) -> None:
    both = Films(torch.rand(4, 1, 8, 8, generator=rng), torch.tensor([0, 1, 0, 1]), list("aabc"))
    strata = both.strata
    one = Scores(torch.rand(3, generator=rng), torch.rand(3, generator=rng), strata, strata)
    assert together([one]).members.isfinite().all()
