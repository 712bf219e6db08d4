"""The worked uses: their parts work, and what they compare is compared fairly."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from docs.uses import architecture_search, continual_learning
from docs.uses.architecture_search import EARLY, SETS, WHOLE, Search, agreement, regret, spearman
from docs.uses.cohorts import DATA, FILES, Cohort, made, read, seen
from docs.uses.continual_learning import (
    KEEPS,
    Trial,
    backward,
    everything,
    final,
    forgetting,
    guaranteed,
    learn,
    learned,
    nothing,
    shares,
)
from docs.uses.judging import REPLICATES, HeldOut, interval
from medidd.architectures import convnet
from medidd.evaluate import RECIPIENT, Training, log_probabilities
from medidd.scores.films import score
from privacy.release import Films

SIZE = 16
SHORT = Training(steps=4, batch=16)


def cohort(name: str, patients: int, *, seed: int) -> Cohort:
    """Noise with a bright half that tells the class; every second patient has two films."""
    rng = torch.Generator().manual_seed(seed)
    owner = [one for one in range(patients) for _ in range(1 + one % 2)]
    labels = torch.tensor([one // 2 % 2 for one in owner])
    images = 0.3 * torch.rand(len(owner), 1, SIZE, SIZE, generator=rng)
    images[labels == 1, :, : SIZE // 2] += 0.05
    ids = [f"{name}{one}" for one in owner]
    return Cohort(Films(images, labels, ids), np.array([one // 4 % 5 for one in owner], "int8"))


@pytest.fixture(scope="module")
def cohorts() -> Mapping[str, Cohort]:
    return {name: cohort(name, 60, seed=i) for i, name in enumerate("abc")}


def same(films: Films) -> set[bytes]:
    return {image.numpy().tobytes() for image in films.images}


# Both uses


def test_no_patient_is_on_both_sides(cohorts: Mapping[str, Cohort]) -> None:
    for one in cohorts.values():
        inside, outside = one.within([1, 2]), one.without([1, 2])
        assert set(inside.ids).isdisjoint(outside.ids)
        assert len(inside) + len(outside) == len(one.films)


def test_the_interval_is_that_of_the_library(cohorts: Mapping[str, Cohort]) -> None:
    films, f = cohorts["a"].films, convnet(2, 1, SIZE, width=4)
    films = replace(films, labels=films.labels.roll(1))  # harder, so that the AUC is not 1
    theta = f.init(torch.Generator().manual_seed(0))
    auc = HeldOut.of(films, 0).auc(f, theta)
    predicted = log_probabilities(f, theta, seen(films)[0]).exp()
    known = score([predicted], films.labels, np.array(films.patients), seed=0)["auc"]
    assert auc[0] == pytest.approx(known.mean)
    assert interval(auc[None])[1:] == pytest.approx([known.low, known.high], abs=0.03)


def test_a_set_has_the_digits_of_a_release(cohorts: Mapping[str, Cohort]) -> None:
    images, labels = made("random", cohorts["a"].films, 2, torch.Generator().manual_seed(0))
    levels = (images * 0.25 + 0.5) * 255
    assert torch.allclose(levels, levels.round(), atol=1e-3)
    assert labels.tolist() == [[1, 0], [1, 0], [0, 1], [0, 1]]


def test_real_cohorts_share_no_patient() -> None:
    if not all((DATA / file).exists() for file in FILES.values()):
        pytest.skip("the cohorts are not in ../shared/data")
    found = read(DATA, list(FILES), SIZE)
    ids = [set(one.films.ids) for one in found.values()]
    assert len(set.union(*ids)) == sum(map(len, ids))
    for one in found.values():
        owners: dict[object, set[int]] = {}
        for patient, fold in zip(one.films.patients, one.fold.tolist(), strict=True):
            owners.setdefault(patient, set()).add(fold)
        assert {len(folds) for folds in owners.values()} == {1}


# Continual learning


def test_every_memory_starts_from_the_same_network(cohorts: Mapping[str, Cohort]) -> None:
    trial = Trial(cohorts, 0, SHORT)
    rows = {name: trial.row(KEEPS[name], 2)["auc"] for name in ("nothing", "random films")}
    again = trial.row(nothing, 2)["auc"]
    assert rows["nothing"].shape == (3, 3, 1 + REPLICATES)
    # A replicate without a class has no AUC, hence equal_nan.
    assert np.array_equal(rows["nothing"][0], rows["random films"][0], equal_nan=True)
    assert np.array_equal(rows["nothing"], again, equal_nan=True)
    assert not np.array_equal(rows["nothing"], rows["random films"], equal_nan=True)


def test_no_memory_is_made_of_a_held_out_patient(cohorts: Mapping[str, Cohort]) -> None:
    asked: list[Films] = []

    def keep(films: Films, ipc: int, rng: torch.Generator) -> None:  # noqa: ARG001
        asked.append(films)

    trial = Trial(cohorts, 3, SHORT)
    trial.row(keep, 2)
    assert len(asked) == 2  # nothing needs to be kept of the last cohort
    for films, one in zip(asked, cohorts.values(), strict=False):
        held_out = one.within([3])
        assert held_out.ids
        assert set(films.ids).isdisjoint(held_out.ids)
        assert same(films).isdisjoint(same(held_out))


def test_half_of_every_batch_is_new_and_cohorts_share_the_rest() -> None:
    assert shares(0) == [1.0]
    assert shares(2) == [0.5, 0.25, 0.25]


def test_replay_draws_from_each_pool_by_its_share() -> None:
    """A large pool does not crowd out a small one."""
    seen_values: list[float] = []

    def note(rng: torch.Generator, *, images: int):  # type: ignore[no-untyped-def]  # noqa: ARG001
        def keep(x: torch.Tensor) -> torch.Tensor:
            seen_values.extend(x[:, 0, 0, 0].tolist())
            return x

        return keep

    f, label = convnet(2, 1, SIZE, width=4), torch.tensor([[0.5, 0.5]])
    pools = [
        (torch.full((many, 1, SIZE, SIZE), float(value)), label.repeat(many, 1))
        for value, many in enumerate((500, 4, 40))
    ]
    how = Training(steps=20, batch=64, augment=note)
    theta = f.init(torch.Generator().manual_seed(0))
    before = {name: weight.clone() for name, weight in theta.items()}
    after = learn(f, theta, pools, shares(2), how, torch.Generator().manual_seed(0))
    found = [seen_values.count(value) / len(seen_values) for value in (0.0, 1.0, 2.0)]
    assert found == pytest.approx([0.5, 0.25, 0.25], abs=0.05)
    assert all(torch.equal(theta[name], before[name]) for name in theta)
    assert any(not torch.equal(theta[name], after[name]) for name in theta)


def test_a_cohort_too_small_for_a_guarantee_leaves_no_memory() -> None:
    rng = torch.Generator().manual_seed(0)
    assert guaranteed(cohort("s", 200, seed=0).films, 2, rng) is None
    kept = guaranteed(cohort("l", 600, seed=0).films, 2, rng)
    assert kept is not None
    assert kept[0].shape == (4, 1, SIZE, SIZE)


def test_all_films_are_all_films(cohorts: Mapping[str, Cohort]) -> None:
    films = cohorts["a"].films
    assert len(everything(films, 1, torch.Generator())[0]) == len(films)


def test_the_measures_are_those_of_the_papers() -> None:
    table = np.array([[0.9, 0.5, 0.5], [0.7, 0.8, 0.5], [0.6, 0.9, 0.7]])[None, :, :, None]
    assert final(table).item() == pytest.approx((0.6 + 0.9 + 0.7) / 3)
    assert learned(table).item() == pytest.approx((0.9 + 0.8 + 0.7) / 3)
    assert forgetting(table).item() == pytest.approx((0.3 - 0.1) / 2)
    assert backward(table).item() == pytest.approx((-0.3 + 0.1) / 2)


def test_a_table_has_a_line_per_memory_and_its_gain(cohorts: Mapping[str, Cohort]) -> None:
    trial = Trial(cohorts, 0, SHORT)
    found = {("nothing", 0): [trial.row(nothing, 0)], ("joint", 0): [trial.joint()]}
    none, joint = json.loads(json.dumps(continual_learning.summary(found), allow_nan=False))
    gain = joint["final"][0] - none["final"][0]
    assert joint["final, above nothing"][0] == pytest.approx(gain, abs=2e-4)
    assert joint["forgetting"] is None
    assert none["forgetting"] is not None


# Architecture search


@pytest.fixture(scope="module")
def found() -> dict[str, object]:
    few = replace(RECIPIENT, steps=2)
    return Search(cohort("s", 60, seed=0), SHORT, few).found((2,), 0)


def test_every_network_meets_every_set_once(found: dict) -> None:  # type: ignore[type-arg]
    rows = {(WHOLE, 0), (EARLY, 2), *((name, 2) for name in SETS)}
    assert set(found["validation"]) == set(found["training"]) == set(found["making"]) == rows
    many = len(architecture_search.NETWORKS)
    assert many == 10
    assert {len(aucs) for aucs in found["validation"].values()} == {many}
    assert found["test"].shape == (many, 1 + REPLICATES)


def test_a_table_has_a_line_per_set_and_chooses_by_validation(found: dict) -> None:  # type: ignore[type-arg]
    names = list(architecture_search.NETWORKS)
    networks = {name: of(2, 1, SIZE) for name, of in architecture_search.NETWORKS.items()}
    for aucs in found["validation"].values():
        aucs[:] = np.linspace(0.4, 0.9, len(names))
    table = json.loads(json.dumps(architecture_search.summary([found, found], networks)))
    assert list(table["test"]) == names
    assert len(table["rows"]) == len(found["validation"])
    assert all(row["chosen"] == [names[-1]] * 2 for row in table["rows"])
    lost = max(auc[0] for auc in table["test"].values()) - table["test"][names[-1]][0]
    assert table["rows"][0]["regret"][0] == pytest.approx(lost, abs=2e-4)
    assert table["between seeds"] == [1]


def test_learning_choosing_and_testing_are_on_different_patients() -> None:
    one = cohort("s", 60, seed=0)
    search = Search(one, SHORT, SHORT)
    parts = [
        same(search.films),
        same(one.within(architecture_search.VALIDATION)),
        same(one.within(architecture_search.TEST)),
    ]
    assert all(parts)
    assert sum(map(len, parts)) == len(set.union(*parts)) == len(one.films)


def test_ranks_agree_as_spearman_says() -> None:
    from scipy.stats import spearmanr

    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, 10)).round(1)
    assert spearman(one, other) == pytest.approx(spearmanr(one, other).statistic)
    assert np.isnan(spearman(np.ones(4), other[:4]))


def test_agreement_is_sure_of_a_clear_ranking_and_unsure_of_none() -> None:
    truth = np.linspace(0.5, 0.9, 10)[:, None].repeat(3, 1)
    assert agreement(truth, truth) == [1, 1, 1]
    middle, low, high = agreement(np.random.default_rng(0).normal(size=(10, 3)), truth)
    assert low < middle < high
    assert high - low > 0.5


def test_regret_is_what_a_choice_costs() -> None:
    test = np.array([0.9, 0.8, 0.7])[None, :, None].repeat(1 + REPLICATES, 2).repeat(2, 0)
    right, wrong = np.array([[3, 3], [2, 2], [1, 1]]), np.array([[3, 1], [2, 2], [1, 3]])
    assert regret(right, test) == [0, 0, 0]
    assert regret(wrong, test)[0] == pytest.approx(0.1)


@pytest.mark.slow
@pytest.mark.parametrize("script", [architecture_search, continual_learning])
def test_the_scripts_run_on_real_films(script, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    if not all((DATA / file).exists() for file in FILES.values()):
        pytest.skip("the cohorts are not in ../shared/data")
    out = tmp_path / "found.json"
    ran = CliRunner().invoke(script.main, ["--quick", "--out", str(out)])
    assert ran.exit_code == 0, ran.output
    assert json.loads(out.read_text())["rows"]
