"""A3 beside a naive oracle, and on releases that follow the members."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from invented_radiographs import cohort, evidence, labelled, noise
from torch.nn import functional as F

from privacy import Evidence, Films, Nulls, Policy, Release, Verdict, folds
from privacy.attacks.distance import SEEN, distances, nearest_of_class, scores
from privacy.attacks.views import VIEWS, standardise
from privacy.nulls import calibrate
from privacy.statistics.scores import Scores, auc


def everything(films: Films) -> Release:
    return Release(films.images, F.one_hot(films.labels, 2).float())


def with_nulls(release: Release, members: Films, controls: Films, seed: int = 0) -> Evidence:
    rng = torch.Generator().manual_seed(seed)
    fold_of = folds(members, rng) | folds(controls, rng)
    nulls = Nulls(tuple(noise(4, rng) for _ in range(5)), fold_of)
    return evidence(release, members, controls, nulls=nulls)


def test_each_film_meets_the_nearest_image_of_its_class(rng: torch.Generator) -> None:
    films, images = torch.randn(30, 5, generator=rng), torch.randn(9, 5, generator=rng)
    labels = torch.arange(30) % 4
    classes = torch.tensor([0, 1, 0, 1, 2, 2, 0, 1, 2])
    found = nearest_of_class(films, labels, images, classes)
    for i in range(30):
        same = [j for j in range(9) if classes[j] == labels[i]]
        near = min(float((films[i] - images[j]).norm()) for j in same or range(9))
        assert float(found[i]) == pytest.approx(near, rel=1e-4)


def test_scores_are_those_of_each_view_added_up(rng: torch.Generator) -> None:
    members, controls = cohort(9, rng, "IN", extra=3), cohort(7, rng, "OUT")
    case = with_nulls(labelled(torch.rand(4, 1, 32, 32, generator=rng)), members, controls)
    assert case.nulls is not None
    films, fold_of = case.everybody, case.nulls.fold_of
    assert fold_of is not None
    nulls = case.nulls.releases
    total, against = torch.zeros(2, 16).double()
    for name in SEEN:
        prepare = (lambda x: x) if name == "raw" else standardise

        def near(i: int, release: Release, name: str = name, prepare=prepare) -> float:  # type: ignore[no-untyped-def]
            view = VIEWS[name]
            film = prepare(view(films.images[i : i + 1]))[0].double()
            return min(
                float((film - prepare(view(release.images[j : j + 1]))[0].double()).norm())
                for j in range(4)
                if release.labels[j, films.labels[i]] == 1
            )

        def per_patient(release_of: Callable[[object], Release], near=near) -> torch.Tensor:  # type: ignore[no-untyped-def]
            values = []
            for one in films.ids:
                rows = [i for i, who in enumerate(films.patients) if who == one]
                values.append(sum(near(i, release_of(one)) for i in rows) / len(rows))
            return torch.tensor(values).double()

        own = per_patient(lambda _: case.release)
        null = per_patient(lambda one: nulls[fold_of[one]])  # type: ignore[index]
        total -= own / own.std(correction=0)
        against -= null / own.std(correction=0)
    found = scores(case)
    assert found.calibrated is not None
    expected = (found.raw, total), (found.calibrated, calibrate(total, against, films.strata))
    for of, values in expected:
        got = torch.cat([of.members, of.controls])
        torch.testing.assert_close(got, values, rtol=0, atol=1e-4)


def test_a_release_of_all_films_is_caught(
    members: Films, controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    finding = distances(with_nulls(everything(members), members, controls), policy, rng)
    assert finding.audit == "A3"
    assert finding.verdict is Verdict.FAIL
    assert finding.value > 0.95


def test_means_of_few_films_are_caught(
    members: Films, controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    # Four patients of a class share an image: it lies nearer to them than to strangers.
    means = [
        members.images[rows].mean(0)
        for c in (0, 1)
        for rows in torch.split((members.labels[:120] == c).nonzero().flatten(), 4)
    ]
    classes = torch.arange(2).repeat_interleave(len(means) // 2)
    release = Release(torch.stack(means), F.one_hot(classes, 2).float())
    finding = distances(with_nulls(release, members, controls), policy, rng)
    assert finding.verdict is Verdict.FAIL


def test_a_changed_contrast_hides_nothing(members: Films, controls: Films) -> None:
    copied = everything(members)
    dull = Release(0.3 * copied.images + 0.5, copied.labels)
    raw = nearest_of_class(
        torch.cat([members.images, controls.images]).flatten(1),
        torch.cat([members.labels, controls.labels]),
        dull.images.flatten(1),
        members.labels,
    )
    n = len(members)
    assert auc(Scores(-raw[:n], -raw[n:])) < 0.8
    assert auc(scores(with_nulls(dull, members, controls)).best_informed) > 0.95


def test_noise_passes_with_null_releases_and_not_without(
    members: Films, controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    case = with_nulls(noise(4, rng), members, controls)
    assert distances(case, policy, rng).verdict is Verdict.PASS
    bare = distances(replace(case, nulls=None), policy, rng)
    assert bare.verdict is Verdict.INCONCLUSIVE
