"""A5b sees that many images lean towards members, and draws membership as it was drawn."""

import math
from itertools import combinations

import numpy as np
import pytest
import torch
from invented_radiographs import cohort, evidence, labelled, noise, radiographs

from privacy import Films, Policy, Verdict
from privacy.attacks.set_test import FLOOR, leaning, redrawn, set_test
from privacy.likeness.clearness import apart


def test_noisy_films_of_ten_members_fail_together(
    members: Films, controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    films = members.images[:10]
    noisy = films + films.std() * torch.randn(films.shape, generator=rng)
    finding = set_test(evidence(labelled(noisy), members, controls), policy, rng)
    assert finding.verdict is Verdict.FAIL
    assert finding.p is not None
    assert finding.p < 0.01
    assert finding.value > finding.limit


def test_what_no_draw_reaches_has_the_least_p_value_there_is(
    members: Films, controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    finding = set_test(evidence(labelled(members.images[:40]), members, controls), policy, rng)
    assert finding.p == pytest.approx(1 / 10_001)


def test_films_of_controls_and_of_strangers_do_not_fail(
    members: Films, controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    strangers = radiographs(10, torch.arange(10) % 2, rng)
    for images in (controls.images[:10], strangers, noise(10, rng).images):
        finding = set_test(evidence(labelled(images), members, controls), policy, rng)
        assert finding.verdict is Verdict.PASS


def test_more_members_than_controls_make_nothing_of_noise(
    members: Films, controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    few = controls.of(controls.ids[:30])
    finding = set_test(evidence(noise(10, rng), members, few), policy, rng)
    assert finding.verdict is Verdict.PASS
    # 120 of 150 are members: .8 ** 21 is the first power below .01.
    assert finding.details["fewest patients seen"] == 21
    assert "fewer than 21 patients" in finding.text


def test_classes_that_one_side_lacks_are_left_out(
    members: Films, controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    one = controls.of([p for p, s in zip(controls.ids, controls.strata, strict=True) if s == 1])
    case = evidence(labelled(members.images[:20]), members, one)
    finding = set_test(case, policy, rng)
    assert finding.details["members"] == 60
    assert finding.details["controls"] == 65
    none = members.of([p for p, s in zip(members.ids, members.strata, strict=True) if s == 2])
    assert set_test(evidence(noise(2, rng), none, one), policy, rng).verdict is Verdict.INVALID


def test_leaning_equals_a_naive_loop(rng: torch.Generator) -> None:
    rows = torch.rand(7, 9, generator=rng) + 0.1
    drawn = redrawn(torch.arange(9) < 5, torch.zeros(9), rng, 30)
    expected = [
        np.mean([math.log(min(row[~who]) / min(row[who])) for row in rows.numpy()])
        for who in drawn.numpy()
    ]
    np.testing.assert_allclose(leaning(rows, drawn).numpy(), expected, rtol=1e-5)


def test_the_p_value_is_that_of_all_draws(policy: Policy, rng: torch.Generator) -> None:
    members, controls = cohort(8, rng, "IN"), cohort(6, rng, "OUT")
    case = evidence(
        labelled(0.5 * members.images[:3] + 0.5 * members.images[3:6]), members, controls
    )
    rows = apart(case).flatten(0, 1).numpy()
    rows = np.maximum(rows, FLOOR * np.median(rows, 1, keepdims=True))

    def statistic(chosen: set[int]) -> float:
        inside = np.array([i in chosen for i in range(14)])
        return float(np.log(rows[:, ~inside].min(1) / rows[:, inside].min(1)).mean())

    even, odd = range(0, 14, 2), range(1, 14, 2)
    observed = statistic(set(range(8)))
    every = [statistic({*a, *b}) for a in combinations(even, 4) for b in combinations(odd, 4)]
    exact = np.mean(np.array(every) >= observed - 1e-6)
    finding = set_test(case, policy, rng)
    assert finding.value == pytest.approx(observed, rel=1e-3)
    assert finding.p == pytest.approx(exact, abs=4 * math.sqrt(exact / 10_000) + 2e-4)


def test_draws_keep_the_members_of_each_class(rng: torch.Generator) -> None:
    strata = torch.tensor([1, 2, 1, 2, 1, 3, 3, 1])
    is_member = torch.tensor([True, False, False, True, True, True, False, False])
    drawn = redrawn(is_member, strata, rng, 2_000)
    for stratum, share in ((1, 0.5), (2, 0.5), (3, 0.5)):
        inside = drawn[:, strata == stratum]
        assert (inside.sum(1) == is_member[strata == stratum].sum()).all()
        assert inside.double().mean(0).sub(share).abs().max() < 0.06


def test_p_values_of_fresh_draws_are_uniform() -> None:
    everybody = cohort(60, torch.Generator().manual_seed(8))
    images = radiographs(4, torch.arange(4) % 2, torch.Generator().manual_seed(9))
    case = evidence(
        labelled(images), everybody.of(everybody.ids[:40]), everybody.of(everybody.ids[40:])
    )
    rows = apart(case).flatten(0, 1).double()
    rng = torch.Generator().manual_seed(10)
    is_member, strata = torch.arange(60) < 40, everybody.strata
    coins = redrawn(is_member, strata, rng, 400)
    leans = leaning(rows, redrawn(is_member, strata, rng, 4_000))
    p = torch.stack([(leans >= one).double().mean() for one in leaning(rows, coins)])
    for alpha in (0.05, 0.25, 0.5):
        assert abs(float((p <= alpha).double().mean()) - alpha) < 3.5 * math.sqrt(alpha / 400)
