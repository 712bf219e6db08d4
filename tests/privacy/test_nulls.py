import pytest
import torch
from invented_radiographs import cohort, labelled, noise
from torch import Tensor

from privacy import Films, Nulls, Release, folds
from privacy.nulls import calibrate, explained


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
        return torch.tensor([float(one in trained[k]) for one in scored.ids])

    assert not Nulls(tuple(releases), fold_of).unseen(saw, films).any()


def test_calibration_removes_what_any_release_gives_a_patient(rng: torch.Generator) -> None:
    near_anything, strata = torch.randn(40, generator=rng), torch.arange(40) % 2
    calibrated = calibrate(near_anything + 1, near_anything, strata)
    torch.testing.assert_close(calibrated, torch.ones(40))


def test_nulls_that_are_only_noise_hide_no_leak(rng: torch.Generator) -> None:
    strata, leak = torch.zeros(4000), torch.zeros(4000)
    leak[:2000] = 0.5
    scores, noisy = leak + torch.randn(2, 4000, generator=rng)
    assert explained(scores, noisy, strata) < 0.06
    apart = [float(x[:2000].mean() - x[2000:].mean()) for x in (scores, scores - noisy)]
    calibrated = calibrate(scores, noisy, strata)
    assert float(calibrated[:2000].mean() - calibrated[2000:].mean()) == pytest.approx(
        apart[0], abs=0.02
    )
    # Subtracted whole, the same nulls would double the variance.
    assert float(calibrated.var()) < 0.6 * float((scores - noisy).var())


def test_nothing_is_ever_added_and_never_more_than_all_subtracted(rng: torch.Generator) -> None:
    x, strata = torch.randn(50, generator=rng), torch.arange(50) % 2
    assert explained(3 * x, x, strata) == 1
    assert explained(-x, x, strata) == 0
    assert explained(x, torch.zeros(50), strata) == 0


def test_members_and_controls_are_scored_with_the_same_noise(rng: torch.Generator) -> None:
    films = cohort(4000, rng)
    films = Films(films.images[..., :4, :4], films.labels, films.patients)
    nulls = Nulls(tuple(noise(1, rng) for _ in range(5)), folds(films, rng))

    def score(release: Release, scored: Films) -> Tensor:  # noqa: ARG001
        return torch.randn(len(scored.ids), generator=rng)

    # One null each: variance 1. The mean of five would have 1/5, for members only.
    assert float(nulls.unseen(score, films).var()) == pytest.approx(1, rel=0.1)


def test_folds_that_do_not_match_the_releases_are_refused(rng: torch.Generator) -> None:
    with pytest.raises(ValueError, match="folds must be 0 to k - 1"):
        Nulls((noise(1, rng),), {"a": 0, "b": 1})
