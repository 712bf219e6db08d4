import pytest
import torch
from invented_radiographs import cohort, labelled, noise
from torch import Tensor

from privacy import Films, Nulls, Release, folds
from privacy.nulls import calibrate


def test_folds_cover_every_patient_and_share_the_classes_evenly(rng: torch.Generator) -> None:
    films = cohort(53, rng, extra=10)
    fold_of = folds(films, rng, k=5)
    assert set(fold_of) == set(films.ids)
    label = dict(zip(films.patients, films.labels.tolist(), strict=True))
    for c in (0, 1):
        sizes = [sum(label[p] == c for p, k in fold_of.items() if k == fold) for fold in range(5)]
        assert max(sizes) - min(sizes) <= 1


def test_no_control_is_scored_on_a_null_that_saw_him(rng: torch.Generator) -> None:
    films = cohort(40, rng, extra=5)
    fold_of = folds(films, rng)
    trained = [{one for one in films.ids if fold_of[one] != k} for k in range(5)]
    # The stand-in for a release: k tells which null it is.
    releases = [labelled(torch.full((1, 1, 4, 4), float(k))) for k in range(5)]

    def saw(release: Release, scored: Films) -> Tensor:
        k = int(release.images.mean())
        return torch.tensor([float(k >= 0 and one in trained[k]) for one in scored.ids])

    real = labelled(torch.full((1, 1, 4, 4), -1.0))
    calibrated = calibrate(saw, real, Nulls(tuple(releases), fold_of), films)
    assert not calibrated.any()


def test_calibration_removes_what_any_release_gives_a_patient(rng: torch.Generator) -> None:
    films = cohort(20, rng)
    near_anything = torch.randn(20, generator=rng)

    def score(release: Release, scored: Films) -> Tensor:  # noqa: ARG001
        return near_anything + float(release.images.mean())

    nulls = Nulls(tuple(labelled(torch.zeros(1, 1, 2, 2)) for _ in range(5)), folds(films, rng))
    calibrated = calibrate(score, labelled(torch.ones(1, 1, 2, 2)), nulls, films)
    torch.testing.assert_close(calibrated, torch.ones(20))


def test_members_and_controls_are_calibrated_with_the_same_noise(rng: torch.Generator) -> None:
    films = cohort(4000, rng)
    films = Films(films.images[..., :4, :4], films.labels, films.patients)
    nulls = Nulls(tuple(noise(1, rng) for _ in range(5)), folds(films, rng))

    def score(release: Release, scored: Films) -> Tensor:  # noqa: ARG001
        return torch.randn(len(scored.ids), generator=rng)

    # One null each: variance 1 + 1. The mean of five would have 1 + 1/5, for members only.
    calibrated = calibrate(score, noise(1, rng), nulls, films)
    assert float(calibrated.var()) == pytest.approx(2, rel=0.1)


def test_folds_that_do_not_match_the_releases_are_refused(rng: torch.Generator) -> None:
    with pytest.raises(ValueError, match="folds must be 0 to k - 1"):
        Nulls((noise(1, rng),), {"a": 0, "b": 1})
