"""The table: every architecture x every kind of image; then each by what it is."""

import sys
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from medidd.architectures import (
    ARCHITECTURES,
    NORMS,
    POOLINGS,
    alexnet,
    convnet,
    densenet121,
    lenet,
    vgg11,
)
from medidd.machine.layers import HalvedReLU
from medidd.network import Network, Weights

NARROW = {"convnet": 4, "mlp": 4, "alexnet": 4, "vgg11": 4}
"""Widths that make an architecture quick; the others have one size."""

every_architecture = pytest.mark.parametrize("name", ARCHITECTURES)


def small(name: str, classes: int, channels: int, size: int) -> Network:
    narrow = {"width": NARROW[name]} if name in NARROW else {}
    return ARCHITECTURES[name](classes, channels, size, **narrow)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def films(n: int, channels: int, size: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(n, channels, size, size, generator=seeded(1), dtype=dtype)


@every_architecture
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [16, 28, 33, 64])
def test_each_film_has_logits_of_its_own_whatever_its_batch(
    name: str, channels: int, size: int
) -> None:
    x = films(2, channels, size)
    f = small(name, 3, channels, size)
    theta = f.init(seeded(), like=x)
    logits, vectors = f(theta, x), f.embed(theta, x)
    assert logits.shape == (2, 3)
    assert logits.isfinite().all()
    for values in (logits, vectors):
        assert (values[0] - values[1]).norm() > 1e-2 * values[0].norm()
    torch.testing.assert_close(f(theta, x[:1]), logits[:1])
    strangers = torch.cat([x[:1], torch.full_like(x[:1], 100)])
    torch.testing.assert_close(f(theta, strangers)[0], logits[0])
    from_vectors = functional.linear(vectors, theta["classifier.weight"], theta["classifier.bias"])
    torch.testing.assert_close(from_vectors, logits)


@pytest.mark.parametrize("name", ["convnet", "mlp", "lenet"])
def test_large_films_do_too(name: str) -> None:
    x = films(2, 1, 256, torch.float32)
    f = small(name, 2, 1, 256)
    one, other = f(f.init(seeded()), x)
    assert (one - other).norm() > 1e-3 * one.norm()


@every_architecture
def test_no_size_gives_a_norm_a_single_pixel_to_look_at(name: str) -> None:
    seen: list[Tensor] = []

    def look(_: nn.Module, inputs: tuple[Tensor]) -> None:
        seen.append(inputs[0])

    for size in [16, 17, 23, 31, 32, 33, 47, 63, 64, 65, 100, 127, 224, 255, 256]:
        # Nothing is computed on this device but shapes.
        with torch.device("meta"):
            module = small(name, 2, 3, size).make()
            x = torch.zeros(1, 3, size, size)
        for layer in module.modules():
            if isinstance(layer, nn.GroupNorm):
                layer.register_forward_pre_hook(look)
        assert module(x).shape == (1, 2)
    assert all(min(map_.shape[2:]) >= 2 for map_ in seen)
    assert (len(seen) > 0) == name.startswith(("convnet", "vgg11", "resnet18", "densenet121"))


@every_architecture
def test_weights_follow_from_the_generator_and_leave_torchs_own_alone(name: str) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    f = small(name, 2, 1, 16)
    first = f.init(seeded())
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(4)
    again, other = f.init(seeded()), f.init(seeded(1))
    assert all(torch.equal(first[weight], again[weight]) for weight in first)
    assert any(not torch.equal(first[weight], other[weight]) for weight in first)
    assert not any(weight.requires_grad for weight in first.values())


@every_architecture
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_weights_take_the_type_of_what_they_meet(name: str, dtype: torch.dtype) -> None:
    x = films(2, 1, 16, dtype)
    f = small(name, 3, 1, 16)
    theta = f.init(seeded(), like=x)
    assert {weight.dtype for weight in theta.values()} == {dtype}
    assert f(theta, x).dtype == dtype


@every_architecture
def test_a_module_is_features_and_classifier_and_knows_no_training_mode(name: str) -> None:
    module = small(name, 5, 1, 16).make().double()
    assert [child for child, _ in module.named_children()] == ["features", "classifier"]
    assert module.classifier.out_features == 5
    assert list(module.buffers()) == []
    assert not any(isinstance(layer, nn.Dropout) for layer in module.modules())
    x = films(2, 1, 16)
    assert torch.equal(module.train()(x), module.eval()(x))


@every_architecture
def test_gradients_of_weights_can_be_differentiated_by_the_image(name: str) -> None:
    x = films(2, 1, 16).requires_grad_()
    f = small(name, 2, 1, 16)
    theta = {n: w.requires_grad_() for n, w in f.init(seeded(), like=x).items()}
    weights = list(theta.values())
    grads = torch.autograd.grad(f(theta, x).logsumexp(1).sum(), weights, create_graph=True)
    assert all(grad.isfinite().all() for grad in grads)
    # Every layer learns, except a bias that the norm after it takes away.
    assert all(grad.any() for grad in grads if grad.ndim > 1)
    total = torch.stack([grad.square().sum() for grad in grads]).sum()
    (pulled,) = torch.autograd.grad(total, x)
    assert pulled.isfinite().all()
    assert pulled.flatten(1).norm(dim=1).min() > 0


@pytest.mark.parametrize("name", ["lenet", "alexnet", "vgg11", "resnet18", "densenet121"])
def test_thumbnails_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"15 px is too small for {name}; use 16 px or more"):
        ARCHITECTURES[name](2, 1, 15)


def test_only_the_resnet_and_the_densenet_need_torchvision(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.setitem(sys.modules, "torchvision.models", None)
    theirs = ("resnet18", "densenet121")
    made = [small(name, 2, 1, 16) for name in ARCHITECTURES if name not in theirs]
    assert len(made) == len(ARCHITECTURES) - 2
    for name in theirs:
        with pytest.raises(ImportError, match="torchvision"):
            small(name, 2, 1, 16)


@given(st.integers(8, 300))
def test_the_convnet_halves_films_until_4_to_7_pixels_are_left(size: int) -> None:
    module = convnet(2, 1, size, width=1).make()
    side = module.classifier.in_features**0.5
    assert 4 <= side <= 7
    assert side == size // 2 ** sum(isinstance(part, HalvedReLU) for part in module.features)


@pytest.mark.parametrize(
    ("size", "depth", "least"), [(7, 3, 8), (1, None, 2), (16, 5, 32), (1, 0, 2)]
)
def test_a_convnet_deeper_than_its_film_is_refused(
    size: int, depth: int | None, least: int
) -> None:
    with pytest.raises(ValueError, match=rf"{size} px is too small.* or {least} px or more"):
        convnet(2, 1, size, depth=depth)


def test_the_convnet_is_that_of_its_authors() -> None:
    """Blocks of convolution, instance norm with scale and shift, ReLU and pooling by mean."""

    def naive(theta: Weights, x: Tensor) -> Tensor:
        for first in range(0, 12, 4):
            kernel, bias = theta[f"features.{first}.weight"], theta[f"features.{first}.bias"]
            x = functional.conv2d(x, kernel, bias, padding=1)
            mean = x.mean((2, 3), keepdim=True)
            variance = ((x - mean) ** 2).mean((2, 3), keepdim=True)
            scale, shift = (
                theta[f"features.{first + 1}.{part}"][:, None, None] for part in ("weight", "bias")
            )
            x = ((x - mean) / (variance + 1e-5).sqrt() * scale + shift).clamp(min=0)
            x = (x[..., ::2, ::2] + x[..., 1::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, 1::2]) / 4
        return x.flatten(1) @ theta["classifier.weight"].T + theta["classifier.bias"]

    x = films(2, 1, 32)
    f = convnet(2, 1, 32, width=5)
    drawn = f.init(seeded(), like=x)
    # Scales that differ from one, so that they matter.
    theta = {name: weight + 0.1 * torch.rand_like(weight) for name, weight in drawn.items()}
    torch.testing.assert_close(f(theta, x), naive(theta, x))


def weights(f: Network) -> int:
    return sum(weight.numel() for weight in f.init(seeded()).values())


def test_architectures_have_as_many_weights_as_those_of_the_authors() -> None:
    # The published count of the ConvNet-3 of width 128 for CIFAR-10.
    assert weights(convnet(10, 3, 32)) == 320_010
    # LeNet-5 for digits.
    assert weights(lenet(10, 1, 28)) == 61_706
    # Layer by layer: filters * (inputs * area + 1), a scale and a shift after each, a dense layer.
    plan = [3, 64, 128, 256, 256, 512, 512, 512, 512]
    vgg = sum(b * (a * 9 + 1) + 2 * b for a, b in pairwise(plan))
    assert weights(vgg11(10, 3, 32)) == vgg + 512 * 10 + 10
    plan = [(3, 128, 25), (128, 192, 25), (192, 256, 9), (256, 192, 9), (192, 192, 9)]
    alex = sum(b * (a * area + 1) for a, b, area in plan)
    assert weights(alexnet(10, 3, 32)) == alex + 192 * 16 * 10 + 10
    # The published count of the DenseNet-121, but for the first convolution and the classifier.
    dense = 7_978_856 - 64 * 3 * 49 - 1025 * 1000
    assert weights(densenet121(10, 3, 32)) == dense + 64 * 3 * 9 + 1025 * 10


@pytest.mark.parametrize("norm", NORMS)
def test_each_norm_of_the_convnet_is_what_it_is_called(norm: str) -> None:
    x = films(2, 1, 16)
    f = convnet(2, 1, 16, width=8, depth=1, norm=norm, pooling="none")
    theta = f.init(seeded(), like=x)
    maps = functional.conv2d(x, theta["features.0.weight"], theta["features.0.bias"], padding=1)
    groups = {"instance": 8, "group": 4, "layer": 1}.get(norm)
    if groups is not None:
        over = maps.reshape(2, groups, -1)
        variance, mean = torch.var_mean(over, dim=2, correction=0, keepdim=True)
        maps = ((over - mean) / (variance + 1e-5).sqrt()).reshape(maps.shape)
    torch.testing.assert_close(f.embed(theta, x), maps.clamp(min=0).flatten(1))


@pytest.mark.parametrize("pooling", POOLINGS)
def test_each_pooling_of_the_convnet_is_what_it_is_called(pooling: str) -> None:
    x = films(2, 1, 17)
    f, plain = (convnet(2, 1, 17, width=4, depth=1, pooling=name) for name in (pooling, "none"))
    theta = plain.init(seeded(), like=x)
    maps = plain.embed(theta, x).reshape(2, 4, 17, 17)
    if pooling != "none":
        fours = maps[..., :16, :16].reshape(2, 4, 8, 2, 8, 2)
        maps = fours.mean((3, 5)) if pooling == "average" else fours.amax((3, 5))
    torch.testing.assert_close(f.embed(theta, x), maps.flatten(1))
