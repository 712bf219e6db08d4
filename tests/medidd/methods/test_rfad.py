"""RFAD beside its formula, finite differences, scikit-learn and known answers."""

from collections.abc import Callable

import pytest
import torch
from sklearn.linear_model import Ridge
from torch import Tensor

from medidd.architectures import convnet
from medidd.data import RealSet, SyntheticSet
from medidd.distill import Classifies, distill
from medidd.methods.rfad import JUDGES, RFAD
from medidd.network import Network, Weights


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def features(f: Network, thetas: list[Weights], x: Tensor) -> Tensor:
    return torch.cat([f.embed(theta, x) for theta in thetas], dim=1).double()


def predicted(phi: Tensor, h: Tensor, y: Tensor, ridge: float) -> Tensor:
    """Centred labels as the paper writes them, with an inverse."""
    n, classes = y.shape
    k_ss, k_ts = phi @ phi.T, h @ phi.T
    k_ss = k_ss + ridge * torch.trace(k_ss) / n * torch.eye(n, dtype=torch.double)
    return k_ts @ torch.linalg.inv(k_ss) @ (y.double() - 1 / classes)


def test_the_gradient_is_that_of_finite_differences(films: Callable, started: Callable) -> None:
    images, labels = films(3, size=8, dtype=torch.double)
    start = started(images, ipc=2)
    f = convnet(2, 1, 8, width=4)
    method, thetas = RFAD(f, ridge=1e-2), [f.init(seeded(seed), like=images) for seed in (1, 2)]

    def loss(x: Tensor, y: Tensor) -> Tensor:
        s = SyntheticSet(x, y, start.log_lr)
        return method.loss(thetas, s, RealSet(images, labels, 2, seeded()), seeded(3))

    inputs = (start.images.requires_grad_(), start.labels.requires_grad_())
    assert torch.autograd.gradcheck(loss, inputs)


def test_the_regression_is_scikit_learns(films: Callable, started: Callable) -> None:
    images, labels = films(6, classes=3, dtype=torch.double)
    s, f = started(images, classes=3, ipc=2), convnet(3, 1, 16, width=8)
    method = RFAD(f, ridge=1e-2, augment=())
    thetas = [f.init(seeded(seed), like=images) for seed in (1, 2)]
    phi, h = features(f, thetas, s.images), features(f, thetas, images)
    alpha = 1e-2 * float(phi.square().sum()) / len(phi)
    ridge = Ridge(alpha=alpha, fit_intercept=False, solver="cholesky")
    fitted = torch.from_numpy(ridge.fit(phi.numpy(), s.labels.numpy() - 1 / 3).predict(h.numpy()))

    # Centred predictions add up to 0, so nothing of them is lost in a softmax.
    told = method.on_features(thetas, s)(images).log()
    torch.testing.assert_close(told - told.mean(1, keepdim=True), fitted, rtol=0, atol=1e-9)
    loss = method.loss(thetas, s, RealSet(images, labels, 3, seeded()), seeded())
    off = fitted - (torch.eye(3, dtype=torch.double)[labels] - 1 / 3)
    assert loss.item() == pytest.approx(off.square().mean().item() / 2, rel=1e-9)


def test_every_step_draws_fresh_networks(films: Callable, started: Callable) -> None:
    images, labels = films(3)
    s, rng = started(images), seeded()
    real, method = RealSet(images, labels, 2, rng), RFAD(convnet(2, 1, 16, width=8), augment=())
    assert len({loss.item() for _ in range(4) for loss in method.losses(s, real, rng)}) == 4


@pytest.mark.parametrize("constraint", ["simplex", "none"])
def test_learned_labels_stay_where_they_may_be(
    films: Callable, started: Callable, constraint: str
) -> None:
    images, labels = films(8, classes=3)
    s, start = started(images, classes=3, ipc=2), started(images, classes=3, ipc=2)
    method = RFAD(convnet(3, 1, 16, width=8), lr_labels=0.1, constraint=constraint)
    list(distill(method, s, RealSet(images, labels, 3, seeded()), steps=10, rng=seeded()))
    assert not torch.equal(s.labels, start.labels)
    shown = s.normalization.display(s.images.detach())
    assert (shown.min() >= 0, shown.max() <= 1) == (True, True)
    on_simplex = s.labels.min() >= 0 and bool(((s.labels.sum(1) - 1).abs() < 1e-6).all())
    assert on_simplex == (constraint == "simplex")


def test_the_images_move_less_and_less(films: Callable, started: Callable) -> None:
    images, labels = films(6)
    s, rng = started(images, ipc=2), seeded()
    method = RFAD(convnet(2, 1, 16, width=8), steps=20, lr_images=0.1)
    before, moves = s.images.clone(), []
    for _ in distill(method, s, RealSet(images, labels, 2, rng), steps=20, rng=rng):
        moves.append((s.images.detach() - before).abs().max().item())
        before = s.images.detach().clone()
    # The first step of Adam is as long as its rate; the last one is 1 / 162 of that.
    assert moves[0] == pytest.approx(0.1, rel=1e-3)
    assert 0 < moves[-1] < 0.05 * moves[0]


def test_its_classifier_is_the_regression_on_eight_fresh_networks(
    films: Callable, started: Callable
) -> None:
    images, _ = films(4, classes=3, dtype=torch.double)
    s, f = started(images, classes=3, ipc=2), convnet(3, 1, 16, width=8)
    method, replay = RFAD(f), seeded(4)
    assert isinstance(method, Classifies)
    thetas = [f.init(replay, like=images) for _ in range(8)]
    expected = predicted(
        features(f, thetas, s.images), features(f, thetas, images), s.labels, 1e-6
    ).softmax(1)
    torch.testing.assert_close(method.classifier(s, seeded(4))(images), expected)
    assert JUDGES == 8


def test_a_ridge_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="ridge must be above 0, not 0"):
        RFAD(convnet(2, 1, 16, width=8), ridge=0.0)
