"""What each method matches, against gradients taken one by one and kernels written out."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from medidd.data import NORMALIZATION, RealSet
from medidd.descent import descend, gradient
from medidd.distill import distill
from medidd.experts.trajectories import Trajectories
from medidd.fields import make, values
from medidd.kernels import KERNELS, classifier
from medidd.methods import METHODS
from medidd.starts import STARTS
from pipelines.auditing.matched_statistics import (
    DIMENSIONS,
    LR,
    MATCHED,
    NETWORKS,
    PUBLIC,
    STEPS,
    TRAINED,
    matched,
    per_film,
    sketched,
)
from pipelines.learning.recipe import Recipe, recipe
from pipelines.run.seeds import derived, generator
from privacy import Films, Release
from privacy.attacks.tracing import leanings
from privacy.statistics.scores import Scores, auc

CPU = torch.device("cpu")
SIZE, CLASSES = 16, 3


def made(name: str, **changed: Any) -> Recipe:
    options = {"start": "noise", "ipc": 2, "settings": {}, "classes": CLASSES}
    return recipe(name, **options | {"size": SIZE, "width": 4} | changed)


def release(seed: int = 0, m: int = 6) -> Release:
    rng = torch.Generator().manual_seed(seed)
    soft = torch.rand(m, CLASSES, generator=rng).softmax(1)
    return Release(torch.rand(m, 1, SIZE, SIZE, generator=rng), soft)


def films(n: int, seed: int = 9) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    labels = one_hot(torch.arange(n) % CLASSES, CLASSES).float()
    return torch.rand(n, 1, SIZE, SIZE, generator=rng), labels


def test_every_method_and_every_start_is_in_the_table() -> None:
    assert MATCHED.keys() == METHODS.keys() | STARTS.keys()


@pytest.mark.parametrize("name", MATCHED)
def test_a_statistic_is_finite_of_one_width_and_varies(name: str) -> None:
    x, y = films(5)
    statistic = matched(made(name), seed=1, device=CPU, networks=2)[0](release())
    values, of_release = statistic(x, y), statistic(release().images, release().labels)
    assert values.shape == (5, of_release.shape[1])
    assert of_release.shape[0] == 6
    assert values.isfinite().all()
    assert of_release.isfinite().all()
    assert float((values[0] - values[3]).abs().max()) > 0


@pytest.mark.parametrize("name", MATCHED)
def test_a_film_has_the_same_statistic_alone_as_among_others(name: str) -> None:
    x, y = films(5)
    statistic = matched(made(name), seed=1, device=CPU, networks=1)[0](release())
    alone = torch.cat([statistic(x[i : i + 1], y[i : i + 1]) for i in range(5)])
    torch.testing.assert_close(alone, statistic(x, y), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", sorted(MATCHED.keys() - {"class-mean", "moments"}))
def test_networks_differ_and_come_again_with_the_seed(name: str) -> None:
    x, y = films(3)

    def values(seed: int) -> list[Tensor]:
        return [match(release())(x, y) for match in matched(made(name), seed=seed, device=CPU)[:2]]

    first, again, other = values(1), values(1), values(2)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    fixed = {"moments", "class-mean"}  # of public constants, which no seed changes
    assert torch.equal(first[0], other[0]) == (name in fixed)
    assert len(first) == 1 or not torch.equal(first[0], first[1])


@pytest.mark.parametrize("name", MATCHED)
def test_the_same_function_comes_back_where_networks_do_not_see_the_release(name: str) -> None:
    match = matched(made(name), seed=1, device=CPU, networks=1)[0]
    same = match(release(0)) is match(release(1))
    trained = {"dd", "soft-label", "mtt", "tesla", "kip", "label-solve"}
    assert same == (name not in trained)


def test_there_are_as_many_networks_as_asked_fewer_that_are_trained_and_one_kernel() -> None:
    assert len(matched(made("dm"), seed=0, device=CPU)) == NETWORKS
    assert len(matched(made("mtt"), seed=0, device=CPU)) == TRAINED < NETWORKS
    for name, count in (("dc", 3), ("mtt", 3), ("kip", 1), ("moments", 1)):
        assert len(matched(made(name), seed=0, device=CPU, networks=3)) == count


def test_dm_matches_the_embedding_of_standardised_films() -> None:
    how, (x, y) = made("dm"), films(4)
    f = how.networks["convnet"]
    theta = f.init(generator(derived(3, "matched", 0)), like=x)
    expected = f.embed(theta, NORMALIZATION.standardize(x))
    torch.testing.assert_close(matched(how, seed=3, device=CPU)[0](release())(x, y), expected)


def test_the_network_is_the_one_the_method_was_given() -> None:
    x, y = films(2)
    of_mlp = matched(made("dm", settings={"network": "mlp"}), seed=0, device=CPU)[0](release())
    assert of_mlp(x, y).shape == (2, 128)


@pytest.mark.parametrize("architecture", ["convnet", "mlp", "lenet"])
def test_the_gradient_of_each_film_is_that_of_a_batch_of_one(architecture: str) -> None:
    f, (x, y) = made("dc").networks[architecture], films(4)
    theta = f.init(torch.Generator().manual_seed(0))
    found = per_film(f, theta, x, y)
    for i in range(4):
        alone = gradient(f, theta, x[i : i + 1], y[i : i + 1])
        assert found.keys() == alone.keys()
        for name, weight in alone.items():
            torch.testing.assert_close(found[name][i], weight.flatten(), rtol=1e-4, atol=1e-6)


def test_every_layer_has_its_part_of_the_sketch() -> None:
    f, (x, y) = made("dc").networks["convnet"], films(3)
    theta = f.init(torch.Generator().manual_seed(0))
    whole = sketched(f, theta, x, y, seed=0)
    assert whole.shape == (3, DIMENSIONS)
    layers = [name for name, weight in theta.items() if weight.ndim > 1]
    share = DIMENSIONS // len(layers)
    for number, name in enumerate(layers):
        part = whole[:, number * share : (number + 1) * share]
        of_layer = per_film(f, theta, x, y)[name]
        # Few entries in many places hardly ever meet, and then lengths are kept.
        assert float(part.norm()) == pytest.approx(float(of_layer.norm()), rel=0.35)


def test_large_networks_are_taken_film_by_film_to_the_same_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    f, (x, y) = made("dc").networks["convnet"], films(5)
    theta = f.init(torch.Generator().manual_seed(0))
    together = sketched(f, theta, x, y, seed=0)
    monkeypatch.setattr("pipelines.auditing.matched_statistics.PIECE", 1)
    torch.testing.assert_close(sketched(f, theta, x, y, seed=0), together, rtol=1e-4, atol=1e-6)


def test_mtt_matches_the_gradient_after_a_training_on_the_release() -> None:
    how, (x, y), of = made("mtt"), films(3), release()
    f, seed = how.networks["convnet"], derived(0, "matched", 0)
    s = NORMALIZATION.standardize(of.images)
    theta = descend(f, f.init(generator(seed)), s, of.labels, lr=LR, steps=STEPS)
    expected = sketched(f, theta, NORMALIZATION.standardize(x), y, seed)
    torch.testing.assert_close(matched(how, seed=0, device=CPU)[0](of)(x, y), expected)


def test_kip_matches_the_error_of_its_regression_times_the_kernel() -> None:
    how, (x, y) = made("kip", settings={"kernel": "conv"}), films(3)
    hard = one_hot(torch.arange(6) % CLASSES, CLASSES).float()
    of = Release(release().images, hard)
    values = matched(how, seed=0, device=CPU)[0](of)(x, y).view(3, CLASSES, PUBLIC)
    seen, s = NORMALIZATION.standardize(x), NORMALIZATION.standardize(of.images)
    public = torch.randn(PUBLIC, 1, SIZE, SIZE, generator=generator(derived(0, "matched", 0)))
    kernel = KERNELS["conv"]()
    rows = kernel(seen, public)
    # The classifier is the softmax of the predictions, so differences of logarithms are theirs.
    predicted = classifier(kernel, s.double(), hard.double())(seen.double()).log()
    off = predicted - y.double()
    ratio = values / rows.unsqueeze(1)
    for k in range(1, CLASSES):
        expected = (off[:, k] - off[:, 0]).unsqueeze(1).expand(3, PUBLIC)
        torch.testing.assert_close(ratio[:, k] - ratio[:, 0], expected)
    # On S itself the regression is right, and nothing pulls.
    at_s = matched(how, seed=0, device=CPU)[0](of)(of.images, of.labels)
    assert float(at_s.abs().max()) < 1e-3 * float(values.abs().max())


def smooth(n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Display values of blurred noise, (n, 1, 16, 16), and random classes out of two."""
    fine = torch.randn(n, 1, SIZE, SIZE, generator=rng)
    coarse = torch.nn.functional.avg_pool2d(fine, 5, stride=1, padding=2)
    return (0.5 + coarse).clamp(0, 1), torch.randint(2, (n,), generator=rng)


@pytest.mark.parametrize("name", ["dm", "dc", "kip"])
def test_a_release_learned_from_few_films_leans_towards_them(name: str) -> None:
    rng = torch.Generator().manual_seed(0)
    short: dict[str, Any] = {"dc": {"lr_images": 1.0, "inner_steps": 1}}.get(name, {})
    how = made(name, classes=2, settings=short, steps=60, ipc=4)
    x, labels = smooth(76, rng)
    inside, outside = slice(0, 16), slice(16, 76)
    of_members = NORMALIZATION.standardize(x[inside])
    synthetic = how.begun(of_members, labels[inside], rng)
    assert how.method is not None
    real = RealSet(of_members, labels[inside], 2, rng)
    for _ in distill(how.method, synthetic, real, steps=how.steps, rng=rng):
        pass
    learned = Release(NORMALIZATION.display(synthetic.images.detach()), synthetic.labels.detach())
    everybody = Films(x, labels, list(range(76)))
    matches = matched(how, seed=0, device=CPU, networks=4)
    leaning = leanings(matches, [learned], everybody)[0]
    found = Scores(leaning[inside], leaning[outside], labels[inside], labels[outside])
    assert auc(found) > 0.7


def test_methods_on_experts_need_them_no_more() -> None:
    how = made("tesla")
    nowhere = Trajectories(Path("nowhere"), how.networks["convnet"], {})
    gone = make(type(how.method), values(how.method) | {"experts": nowhere})
    x, y = films(2)
    match = matched(dataclasses.replace(how, method=gone), seed=0, device=CPU, networks=1)[0]
    assert match(release())(x, y).isfinite().all()
