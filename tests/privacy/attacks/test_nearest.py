"""A5 and A9 find films under every disguise they claim to undo, and clear what shows nobody."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from invented_radiographs import cohort, evidence, labelled, noise, radiographs
from torch import Tensor
from torch.nn import functional as F

from privacy import Evidence, Films, Policy, Release, Verdict
from privacy.attacks.naming import clearly_named, naming, share_p
from privacy.attacks.nearest import copies
from privacy.likeness import clearness
from privacy.likeness.clearness import Named, named, names, rarity, strangers


def turned(image: Tensor, degrees: float, scale: float = 1.0, shift: float = 0.0) -> Tensor:
    """Returns images turned, enlarged, and shifted both ways by a share of the side."""
    a = math.radians(degrees)
    matrix = torch.tensor(
        [[math.cos(a), -math.sin(a), 2 * shift], [math.sin(a), math.cos(a), 2 * shift]]
    )
    matrix[:, :2] /= scale
    grid = F.affine_grid(matrix.expand(len(image), 2, 3), list(image.shape), align_corners=False)
    return F.grid_sample(image, grid, align_corners=False)


def pasted(film: Tensor, mean: Tensor, rows: slice, columns: slice) -> Tensor:
    """Returns the mean with a part of the film in it."""
    image = mean.clone()
    image[..., rows, columns] = film[..., rows, columns]
    return image


def disguises(film: Tensor, mean: Tensor, other: Tensor) -> dict[str, Tensor]:
    """Returns a film (1, 1, 32, 32) under all disguises, with its class mean and another film."""
    every_other = torch.arange(32 * 32).view(32, 32) % 2 == 0
    return {
        "the film itself": film,
        "contrast": 0.5 * film + 0.3,
        "gamma": film**2,
        "a negative": 1 - film,
        "mirrored": film.flip(-1),
        "upside down": film.flip(-2),
        "a quarter turn": film.rot90(1, (-2, -1)),
        "turned by 5": turned(film, 5),
        "turned by 12": turned(film, 12),
        "larger": turned(film, 0, scale=1.2),
        "smaller": turned(film, 0, scale=0.9),
        "shifted": turned(film, 0, shift=3 / 32),
        "the left half": pasted(film, mean, slice(None), slice(16)),
        "a patch": pasted(film, mean, slice(10, 22), slice(15, 27)),
        "a fifth of it": mean + 0.2 * (film - mean),
        "mixed with another": (film + other) / 2,
        "every other pixel another's": torch.where(every_other, film, other),
    }


DISGUISES = list(disguises(*torch.zeros(3, 1, 1, 32, 32)))


@pytest.fixture(scope="module")
def found(members: Films, controls: Films) -> Named:
    """Whom the disguises name, then class means, noise, strangers and a blank image."""
    everybody, film = members.beside(controls), members.images[40:41]
    assert members.labels[40] == members.labels[44]
    mean = everybody.images[everybody.labels == members.labels[40]].mean(0, keepdim=True)
    rng = torch.Generator().manual_seed(6)
    clean = [mean, noise(3, rng).images, radiographs(3, torch.tensor([0, 1, 0]), rng), 0 * mean]
    images = disguises(film, mean, members.images[44:45]).values()
    return names(torch.cat([*images, *clean]).clamp(0, 1), members, controls)


@pytest.mark.parametrize("disguise", DISGUISES)
def test_a_film_is_named_under_every_disguise(disguise: str, found: Named, members: Films) -> None:
    place = DISGUISES.index(disguise)
    assert float(found.p[place]) < 0.001
    wanted = {40, 44} if "other" in disguise else {40}
    assert set(found.who[place]) & wanted == set(found.who[place])
    assert members.ids[found.who[place][0]] in members.ids[40:45]


def test_what_shows_nobody_names_nobody_clearly(found: Named) -> None:
    assert float(found.p[len(DISGUISES) :].min()) > 0.02


@pytest.fixture(scope="module")
def clean(members: Films, controls: Films) -> Evidence:
    """Evidence of six images of nobody."""
    return evidence(noise(6, torch.Generator().manual_seed(6)), members, controls)


def with_films(case: Evidence, films: Tensor) -> Evidence:
    """Returns the evidence with films in place of the first images."""
    images = torch.cat([films, case.release.images[len(films) :]])
    return replace(case, release=Release(images, case.release.labels))


def test_one_copy_among_clean_images_fails_and_no_patient_is_named(
    clean: Evidence, policy: Policy, rng: torch.Generator
) -> None:
    finding = copies(with_films(clean, clean.members.images[40:41]), policy, rng)
    assert finding.verdict is Verdict.FAIL
    assert finding.details["copied images"] == [0]
    assert not any(str(one) in str(finding.to_json()) for one in clean.everybody.ids)


def test_images_of_nobody_and_films_of_controls_pass(
    clean: Evidence, policy: Policy, rng: torch.Generator
) -> None:
    for case in (clean, with_films(clean, clean.controls.images[:2])):
        for audit in (copies, naming):
            assert audit(case, policy, rng).verdict is Verdict.PASS


def test_a_copy_of_a_film_that_two_members_share_fails(
    clean: Evidence, policy: Policy, rng: torch.Generator
) -> None:
    members = clean.members
    twins = Films(
        torch.cat([members.images, members.images[:1]]),
        torch.cat([members.labels, members.labels[:1]]),
        [*members.patients, "twin"],
    )
    case = replace(with_films(clean, members.images[:1]), members=twins)
    assert copies(case, policy, rng).verdict is Verdict.FAIL


def test_in_between_a_person_has_to_look(
    clean: Evidence, policy: Policy, rng: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    doubt = Named(torch.tensor([0.006, *[0.9] * 5]), [[0]] * 6, ["whole"] * 6, 200)
    monkeypatch.setattr("privacy.attacks.nearest.named", lambda _: doubt)
    finding = copies(clean, policy, rng)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "A person has to" in finding.text


def test_a_little_of_many_members_is_found_in_all_images_together(
    policy: Policy, rng: torch.Generator
) -> None:
    members, controls = cohort(100, rng, "IN"), cohort(40, rng, "OUT")
    means = torch.stack([members.images[members.labels == c].mean(0) for c in (0, 1)])
    base = means[members.labels[:40]]
    images = base + 0.3 * (members.images[:40] - base)
    images = images + 0.05 * torch.randn(images.shape, generator=rng)
    case = evidence(labelled(images.clamp(0, 1)), members, controls)
    finding = naming(case, policy, rng)
    assert finding.verdict is Verdict.FAIL
    assert finding.details["members among them"] > 35
    assert clearly_named(named(case), 100) <= set(range(40))
    assert len(clearly_named(named(case), 100)) == finding.value


def test_the_share_of_members_is_judged_as_membership_was_drawn(clean: Evidence) -> None:
    strata, members = clean.everybody.strata.tolist(), len(clean.members.ids)
    people = {*range(12), members, members + 1}
    rng, hits = np.random.default_rng(0), 0
    of_class = {s: [i for i, one in enumerate(strata) if one == s] for s in set(strata)}
    inside = {s: sum(i < members for i in rows) for s, rows in of_class.items()}
    for _ in range(4000):
        drawn = {one for s, rows in of_class.items() for one in rng.permutation(rows)[: inside[s]]}
        hits += len(people & drawn) >= 12
    exact = share_p(people, clean)
    assert exact == pytest.approx(hits / 4000, abs=4 * math.sqrt(exact / 4000))


def test_the_tail_is_that_of_an_exponential(rng: torch.Generator) -> None:
    by_chance = torch.empty(4000, dtype=torch.float64).exponential_(2.0, generator=rng)
    values = torch.tensor([0.1, 1.0, 2.0, 4.0], dtype=torch.float64)
    found = rarity(by_chance, values)
    torch.testing.assert_close(found.log(), -2 * values, rtol=0.12, atol=0.05)
    # One person in two hundred under two names must not hide the others.
    spoiled = torch.cat([by_chance[:-20], torch.full((20,), 50.0, dtype=torch.float64)])
    assert float(rarity(spoiled, values)[3]) < 3 * float(found[3])


def test_few_strangers_do_not_make_chance_look_rare(rng: torch.Generator) -> None:
    drawn = torch.empty(4000, 41, dtype=torch.float64).exponential_(generator=rng)
    found = torch.cat([rarity(one[1:], one[:1]) for one in drawn])
    # Taken as known, the scale of 40 makes .005 and .001 some 4 and 8 times as frequent.
    for level in (0.005, 0.001):
        assert float((found <= level).double().mean()) < 2 * level + 3 * math.sqrt(level / 4000)


def test_strangers_do_not_depend_on_the_release_or_on_who_is_a_member(clean: Evidence) -> None:
    chosen = strangers(clean.everybody).tolist()
    assert len(chosen) == len(set(chosen)) == min(clearness.STRANGERS, len(clean.everybody.ids))
    assert {one < len(clean.members.ids) for one in chosen} == {True, False}


def test_large_films_are_looked_at_in_fewer_pixels(rng: torch.Generator) -> None:
    films = torch.rand(9, 1, 200, 150, generator=rng)
    sides = [
        Films(films[some], torch.zeros(len(films[some])).long(), list("abcdefghi")[some])
        for some in (slice(5), slice(5, 9))
    ]
    assert names(films[2:3], *sides).who == [[2]]
