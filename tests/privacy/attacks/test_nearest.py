"""A5 finds copies under every disguise it claims to undo, and clears what copies nobody."""

import numpy as np
import pytest
import torch
from invented_radiographs import cohort, evidence, labelled, noise, radiographs
from torch import Tensor

from privacy import Films, Policy, Release, Verdict
from privacy.attacks.nearest import (
    COPY,
    DOUBTFUL,
    closeness,
    copies,
    copy_p,
    distances,
    to_patients,
)
from privacy.attacks.views import VIEWS

DISGUISES = {
    "none": lambda x: x,
    "flip": lambda x: x.flip(-1),
    "flip and shift": lambda x: x.flip(-1).roll((1, -1), (-2, -1)),
    "contrast": lambda x: 0.5 * x + 0.3,
    "noise": lambda x: x + 0.5 * x.std() * torch.randn(x.shape, generator=seeded()),
    "contrast, flip and noise": lambda x: 0.5 * x.flip(-1) + 0.05 * torch.randn(x.shape),
}


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(5)


def class_means(films: Films) -> Release:
    return labelled(torch.stack([films.images[films.labels == c].mean(0) for c in (0, 1)]))


@pytest.mark.parametrize("disguise", DISGUISES)
def test_one_copy_among_clean_images_fails(
    disguise: str, members: Films, controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    images = noise(3, rng).images
    images[1:2] = DISGUISES[disguise](members.images[40:41])
    finding = copies(evidence(labelled(images), members, controls), policy, rng)
    assert finding.verdict is Verdict.FAIL
    assert finding.details["copied images"] == [1]


def test_what_copies_nobody_passes(
    members: Films, controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    clean = {
        "noise": noise(6, rng),
        "class means": class_means(members),
        "films of strangers": labelled(radiographs(4, torch.tensor([0, 1, 0, 1]), seeded())),
        "a blank image": labelled(torch.zeros(2, 1, 32, 32)),
    }
    for name, release in clean.items():
        finding = copies(evidence(release, members, controls), policy, rng)
        assert finding.verdict is Verdict.PASS, name


def test_a_copy_of_a_film_that_two_members_share_fails(
    members: Films, controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    twins = Films(
        torch.cat([members.images, members.images[:1]]),
        torch.cat([members.labels, members.labels[:1]]),
        [*members.patients, "twin"],
    )
    finding = copies(evidence(labelled(members.images[:1]), twins, controls), policy, rng)
    assert finding.verdict is Verdict.FAIL


@pytest.mark.parametrize("twins", [1, 2])
def test_a_film_under_several_names_is_still_recognised_in_noise(
    twins: int, members: Films, rng: torch.Generator
) -> None:
    film = members.images[:1]
    noisy = film + 0.3 * film.std() * torch.randn(film.shape, generator=rng)
    alone = closeness(noisy, members).ratio.min()
    nearly = film + 0.05 * film.std() * torch.randn(twins, 1, 32, 32, generator=rng)
    named = Films(nearly, members.labels[:1].repeat(twins), [f"twin {i}" for i in range(twins)])
    together = closeness(noisy, members.beside(named)).ratio.min()
    assert float(together) == pytest.approx(float(alone), abs=0.1)
    assert float(together) < COPY


def test_an_even_mixture_of_two_films_fails(
    members: Films, controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    mixed = 0.5 * members.images[:4] + 0.5 * members.images[4:8]
    finding = copies(evidence(labelled(mixed), members, controls), policy, rng)
    assert finding.verdict is Verdict.FAIL


def test_distances_are_computed_once_for_all_who_ask(
    members: Films, controls: Films, rng: torch.Generator
) -> None:
    case = evidence(noise(2, rng), members, controls)
    found = distances(case)
    assert distances(case) is found
    assert found.shape == (2, len(VIEWS), 250)
    apart = [to_patients(case.release.images, side) for side in (members, controls)]
    torch.testing.assert_close(found, torch.cat(apart, -1), rtol=1e-3, atol=1e-3)


def test_a_film_of_a_control_is_no_copy_of_a_member(
    members: Films, controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    finding = copies(evidence(labelled(controls.images[:2]), members, controls), policy, rng)
    assert finding.verdict is Verdict.PASS


def test_between_copy_and_stranger_a_person_has_to_look(
    members: Films, controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    # Halfway to another member, a film is closer to the first by a ratio that can be dialled.
    one, other = members.images[:1], members.images[2:3]
    for share in torch.linspace(0.5, 1, 60):
        release = labelled(share * one + (1 - share) * other)
        if 0.62 < float(closeness(release.images, members).ratio.min()) < 0.68:
            break
    few = Films(controls.images[:10], controls.labels[:10], controls.patients[:10])
    finding = copies(evidence(release, members, few), policy, rng)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "a person has to" in finding.text


def test_with_few_controls_only_the_ratio_judges_and_the_text_says_so(
    members: Films, controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    few = controls.of(controls.ids[:118])  # one fewer than 20 x 6 - 1
    finding = copies(evidence(noise(6, rng), members, few), policy, rng)
    assert finding.verdict is Verdict.PASS
    assert "119 are needed" in finding.text
    finding = copies(evidence(noise(6, rng), members, controls), policy, rng)
    assert "needed" not in finding.text


def test_ratios_equal_a_naive_loop(rng: torch.Generator) -> None:
    films, images = cohort(6, rng, extra=3), torch.rand(2, 1, 32, 32, generator=rng)
    fast = closeness(images, films, chunk=1)
    for i, image in enumerate(images[:, 0]):
        distance = dict.fromkeys(films.ids, np.inf)
        for film, one in zip(films.images[:, 0], films.patients, strict=True):
            for flipped in (image, image.flip(-1)):
                for top in range(3):
                    for left in range(3):
                        window = flipped[top : top + 30, left : left + 30]
                        gap = float((window - film[1:-1, 1:-1]).norm())
                        distance[one] = min(distance[one], gap)
        ordered = sorted(distance.values())
        gaps = [ordered[k] / ordered[k + 1] for k in range(3)]
        assert float(fast.ratio[i, 0]) == pytest.approx(min(gaps), rel=1e-4)
        assert films.ids[int(fast.nearest[i, 0])] == min(distance, key=distance.__getitem__)


def test_copy_p_is_exact_for_strangers(rng: torch.Generator) -> None:
    views = torch.randn(600, 20, len(VIEWS), generator=rng) @ torch.rand(
        len(VIEWS), len(VIEWS), generator=rng
    )
    p = torch.stack([copy_p(one[:1], one[1:])[0] for one in views])
    for alpha in (0.05, 0.1, 0.25):
        assert float((p <= alpha).double().mean()) <= alpha + 3 * np.sqrt(alpha / 600)


def test_copy_p_equals_a_naive_count(rng: torch.Generator) -> None:
    one, others = torch.rand(1, 3, generator=rng), torch.rand(30, 3, generator=rng)
    everyone = torch.cat([one, others]).tolist()
    best = [min(sum(y[v] <= x[v] for y in everyone) for v in range(3)) for x in everyone]
    assert float(copy_p(one, others)) == pytest.approx(sum(b <= best[0] for b in best) / 31)


def test_the_finding_names_no_patient(
    members: Films, controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    finding = copies(evidence(labelled(members.images[:2]), members, controls), policy, rng)
    assert not any(str(one) in str(finding) for one in members.ids)


def test_large_films_are_judged_at_48_pixels(rng: torch.Generator) -> None:
    large = Films(torch.rand(5, 1, 200, 150, generator=rng), torch.zeros(5).long(), list("abcde"))
    assert float(closeness(large.images[2:3], large).ratio.max()) < 0.01


@pytest.mark.parametrize("shift", [1, 2, 3])
def test_no_shift_falls_between_two_steps(shift: int, members: Films) -> None:
    large = torch.nn.functional.interpolate(members.images, 64, mode="bilinear")
    films = Films(large, members.labels, members.patients)
    moved = large[:10].roll((shift, -shift), (-2, -1))
    assert float(closeness(moved, films).ratio.amin(1).max()) < COPY


def test_doubt_begins_before_strangers_do(members: Films, controls: Films) -> None:
    ratio: Tensor = closeness(controls.images[controls.first], members).ratio.amin(1)
    assert float((ratio < DOUBTFUL).float().mean()) < 0.1
