"""The tangent kernels beside known answers, wide networks and finite differences."""

from collections.abc import Callable
from math import sqrt

import numpy as np
import pytest
import torch
from sklearn.kernel_ridge import KernelRidge
from torch import Tensor
from torch.nn.functional import conv2d

from medidd import kernels
from medidd.kernels import KERNELS, ConvKernel, FCKernel, Kernel, classifier, regression, ridge

both = pytest.mark.parametrize("kernel", [FCKernel(2), ConvKernel(2)], ids=["fc", "conv"])


def pictures(n: int, channels: int = 2, side: int = 5, seed: int = 0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(n, channels, side, side, generator=rng, dtype=torch.double)


# neural_tangents gave these, in float64, with W_std sqrt(2) and b_std 0.1.
@pytest.mark.parametrize(
    ("kernel", "row"),
    [
        (FCKernel(1), [1.02252918, 0.56269761, 0.45119388, 0.45951469]),
        (ConvKernel(3), [1.79890836, 1.47229061, 1.38950435, 1.26217373]),
    ],
    ids=["fc", "conv"],
)
def test_the_kernels_are_those_of_neural_tangents(kernel: Kernel, row: list[float]) -> None:
    random = np.random.RandomState(0)
    x, y = (
        torch.tensor(random.randn(n, 8, 8, 2)).permute(0, 3, 1, 2)  # they have channels last
        for n in (3, 4)
    )
    assert kernel(x, y)[0].tolist() == pytest.approx(row, abs=1e-8)


def test_the_names_give_the_kernels_of_the_authors() -> None:
    assert {name: make() for name, make in KERNELS.items()} == {
        "fc": FCKernel(depth=1),
        "conv": ConvKernel(depth=3),
    }


def dense(x: Tensor, layers: list[tuple[Tensor, Tensor]]) -> Tensor:
    x = x.flatten()
    for weight, bias in layers:
        x = sqrt(2 / len(x)) * (weight @ x) + 0.1 * bias
        x = x.relu() if len(weight) > 1 else x
    return x.squeeze()


def convolved(x: Tensor, layers: list[tuple[Tensor, Tensor]]) -> Tensor:
    *convolutions, last = layers
    x = x[None]
    for weight, bias in convolutions:
        scale = sqrt(2 / weight[0].numel())
        x = (conv2d(x, scale * weight, padding=1) + 0.1 * bias[:, None, None]).relu()
    return dense(x, [last])


@pytest.mark.parametrize(
    ("network", "kernel", "shapes"),
    [
        (dense, FCKernel(2), [(1500, 50), (1500, 1500), (1, 1500)]),
        (convolved, ConvKernel(2), [(300, 2, 3, 3), (300, 300, 3, 3), (1, 300 * 25)]),
    ],
    ids=["fc", "conv"],
)
def test_a_wide_network_moves_as_the_kernel_says(
    network: Callable, kernel: Kernel, shapes: list[tuple[int, ...]]
) -> None:
    rng = torch.Generator().manual_seed(3)
    layers = [
        (
            torch.randn(shape, generator=rng, dtype=torch.double).requires_grad_(),
            torch.randn(shape[0], generator=rng, dtype=torch.double).requires_grad_(),
        )
        for shape in shapes
    ]
    weights = [tensor for layer in layers for tensor in layer]
    x = pictures(3)
    gradients = torch.stack(
        [
            torch.cat([g.flatten() for g in torch.autograd.grad(network(one, layers), weights)])
            for one in x
        ]
    )
    # A deviation is of the order of one over the square root of the width.
    torch.testing.assert_close(gradients @ gradients.T, kernel(x, x), rtol=0.1, atol=0)


@both
@pytest.mark.parametrize("channels", [1, 3])
def test_a_matrix_is_symmetric_and_positive_definite(kernel: Kernel, channels: int) -> None:
    x = pictures(12, channels)
    k = kernel(x, x)
    torch.testing.assert_close(k, k.T, rtol=1e-13, atol=0)
    assert torch.linalg.eigvalsh(k).min() > 1e-3 * k.diag().mean()


@both
def test_gradients_are_those_of_finite_differences(kernel: Kernel) -> None:
    x, y = pictures(2, side=3).requires_grad_(), pictures(3, side=3, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(kernel, (x, y))
    assert torch.autograd.gradcheck(lambda x: kernel(x, x), (x,))


@both
@pytest.mark.parametrize("side", [8, 60])
def test_an_image_twice_leaves_gradients_finite_and_right(kernel: Kernel, side: int) -> None:
    x = pictures(2, channels=1, side=side)
    x = torch.cat([x, x[:1]]).requires_grad_()
    (grad,) = torch.autograd.grad(kernel(x, x).trace(), x)
    # On the diagonal the kernel is a sum of squares of pixels, and the gradient linear in them.
    (twice,) = torch.autograd.grad(kernel(2 * x, 2 * x).trace(), x)
    torch.testing.assert_close(twice, 4 * grad, rtol=1e-6, atol=1e-12)
    (whole,) = torch.autograd.grad(kernel(x, x).sum(), x)
    assert whole.isfinite().all()
    torch.testing.assert_close(whole[0], whole[2])


def test_an_image_with_itself_has_the_value_known() -> None:
    x = pictures(4, side=60)
    xx = 2 * x.square().flatten(1).mean(1) + 0.01
    torch.testing.assert_close(FCKernel()(x, x).diag(), 2 * xx + 0.01, rtol=1e-13, atol=0)


@both
def test_images_without_content_have_gradients(kernel: Kernel) -> None:
    x = torch.zeros(2, 1, 6, 6, requires_grad=True)
    (grad,) = torch.autograd.grad(kernel(x, x).sum(), x)
    assert grad.isfinite().all()


@both
def test_single_precision_images_get_the_double_precision_kernel(kernel: Kernel) -> None:
    x = pictures(5).float()
    assert torch.equal(kernel(x, x), kernel(x.double(), x.double()))


def test_maps_made_in_parts_give_the_same_values_and_gradients(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kernel, x, y = ConvKernel(), pictures(5).requires_grad_(), pictures(3, seed=1).requires_grad_()
    whole = kernel(x, y)
    wanted = torch.autograd.grad(whole.square().sum(), (x, y))
    monkeypatch.setattr(kernels, "MAP", 2 * y[:, 0].numel())
    parts = kernel(x, y)
    torch.testing.assert_close(parts, whole, rtol=1e-14, atol=0)
    for mine, theirs in zip(torch.autograd.grad(parts.square().sum(), (x, y)), wanted, strict=True):
        torch.testing.assert_close(mine, theirs)
    with torch.no_grad():
        torch.testing.assert_close(kernel(x, y), whole, rtol=1e-14, atol=0)


def test_the_ridge_is_a_share_of_the_mean_of_the_diagonal() -> None:
    k = torch.tensor([[1.0, 0.5], [0.5, 3.0]])
    expected = torch.tensor([[1.2, 0.5], [0.5, 3.2]], dtype=torch.double)
    torch.testing.assert_close(ridge(k, 0.1), expected)


@both
@pytest.mark.parametrize(("classes", "channels"), [(2, 1), (3, 3)])
def test_regression_is_that_of_sklearn(kernel: Kernel, classes: int, channels: int) -> None:
    x, t = pictures(6, channels), pictures(7, channels, seed=1)
    y = torch.rand(6, classes, generator=torch.Generator().manual_seed(2), dtype=torch.double)
    k = kernel(x, x).numpy()
    theirs = KernelRidge(alpha=1e-3 * np.trace(k) / 6, kernel="precomputed")
    theirs.fit(k, y.numpy() - 1 / classes)
    wanted = torch.tensor(theirs.predict(kernel(t, x).numpy()))
    torch.testing.assert_close(kernel(t, x) @ regression(kernel, x, y, 1e-3), wanted)
    probabilities = classifier(kernel, x, y, 1e-3, chunk=3)(t)
    torch.testing.assert_close(probabilities, wanted.softmax(1))


@both
def test_a_classifier_knows_what_it_was_fitted_to(kernel: Kernel) -> None:
    x, y = pictures(6).float(), torch.eye(3).repeat(2, 1)
    probabilities = classifier(kernel, x.requires_grad_(), y)(x)
    assert torch.equal(probabilities.argmax(1), y.argmax(1))
    torch.testing.assert_close(probabilities.sum(1), torch.ones(6))
    assert probabilities.dtype == torch.float32
    assert not probabilities.requires_grad
