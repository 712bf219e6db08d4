"""Networks without weights, and the architectures of the field."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from medidd.architectures import ARCHITECTURES, convnet, mlp, resnet18
from medidd.network import Network, Weights


def small(name: str, classes: int, channels: int, size: int) -> Network:
    narrow = {} if name == "resnet18" else {"width": 4}
    return ARCHITECTURES[name](classes, channels, size, **narrow)


def films(n: int, channels: int, size: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(
        n, channels, size, size, generator=torch.Generator().manual_seed(1), dtype=dtype
    )


every_architecture = pytest.mark.parametrize("name", sorted(ARCHITECTURES))


@every_architecture
def test_weights_follow_from_the_generator_and_leave_torchs_own_alone(name: str) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    f = small(name, 2, 1, 16)
    first = f.init(torch.Generator().manual_seed(0))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(4)
    again = f.init(torch.Generator().manual_seed(0))
    other = f.init(torch.Generator().manual_seed(1))
    assert all(torch.equal(first[weight], again[weight]) for weight in first)
    assert any(not torch.equal(first[weight], other[weight]) for weight in first)
    assert not any(weight.requires_grad for weight in first.values())


def test_weights_draw_on_no_generator_of_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> None:
        raise AssertionError("the devices' generators were seeded, and nothing restores them")

    monkeypatch.setattr(torch.cuda, "manual_seed_all", refuse)
    convnet(2, 1, 16, width=4).init(torch.Generator().manual_seed(0))


def test_one_generator_gives_new_weights_at_every_call(rng: torch.Generator) -> None:
    f = mlp(2, 1, 8, width=4)
    one, two = f.init(rng), f.init(rng)
    assert not torch.equal(one["classifier.weight"], two["classifier.weight"])


def test_weights_are_those_that_torch_draws(rng: torch.Generator) -> None:
    f = convnet(2, 1, 16, width=64)
    weight = f.init(rng)["features.0.weight"]
    # Kaiming uniform with a = sqrt(5): within 1 / sqrt(fan in).
    assert weight.abs().max() <= 1 / 3
    assert weight.std().item() == pytest.approx(1 / 3 / 3**0.5, rel=0.1)


@every_architecture
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_weights_take_the_type_of_what_they_meet(name: str, dtype: torch.dtype) -> None:
    x = films(2, 1, 16, dtype)
    f = small(name, 3, 1, 16)
    theta = f.init(torch.Generator().manual_seed(0), like=x)
    assert {weight.dtype for weight in theta.values()} == {dtype}
    assert f(theta, x).dtype == dtype


@pytest.mark.parametrize(
    "norm", [nn.BatchNorm2d(1), nn.InstanceNorm2d(1, track_running_stats=True)]
)
def test_running_statistics_are_refused(norm: nn.Module) -> None:
    def make() -> nn.Module:
        module = nn.Sequential()
        module.add_module("features", nn.Sequential(norm, nn.Flatten()))
        module.add_module("classifier", nn.Linear(4, 2))
        return module

    with pytest.raises(ValueError, match="running statistics; use group or instance norm"):
        Network(make)


@every_architecture
def test_logits_are_the_classifier_of_the_embedding(name: str) -> None:
    x = films(3, 1, 16)
    f = small(name, 2, 1, 16)
    theta = f.init(torch.Generator().manual_seed(0))
    vectors = f.embed(theta, x)
    assert vectors.shape == (3, theta["classifier.weight"].shape[1])
    logits = functional.linear(vectors, theta["classifier.weight"], theta["classifier.bias"])
    torch.testing.assert_close(f(theta, x), logits)


@every_architecture
def test_a_films_value_does_not_depend_on_the_rest_of_its_batch(name: str) -> None:
    x = films(4, 3, 16, torch.double)
    f = small(name, 3, 3, 16)
    theta = f.init(torch.Generator().manual_seed(0), like=x)
    together = f(theta, x)
    for i in range(4):
        torch.testing.assert_close(f(theta, x[i : i + 1])[0], together[i])
    strangers = x.clone()
    strangers[1:] = 100
    torch.testing.assert_close(f(theta, strangers)[0], together[0])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [16, 28, 32, 36, 48, 50, 64, 100, 128, 224, 256])
def test_the_convnet_takes_any_size_and_a_batch_of_one(size: int, channels: int) -> None:
    f = convnet(3, channels, size, width=4)
    x = films(1, channels, size, torch.double)
    logits = f(f.init(torch.Generator().manual_seed(0), like=x), x)
    assert logits.shape == (1, 3)
    assert logits.isfinite().all()


@pytest.mark.parametrize(
    ("name", "size"),
    [("resnet18", 16), ("resnet18", 36), ("resnet18", 64), ("mlp", 5), ("mlp", 36)],
)
def test_the_others_do_too(name: str, size: int) -> None:
    for channels in (1, 3):
        f = small(name, 3, channels, size)
        x = films(1, channels, size)
        logits = f(f.init(torch.Generator().manual_seed(0)), x)
        assert logits.shape == (1, 3)
        assert logits.isfinite().all()


@given(st.integers(8, 300))
def test_the_convnet_halves_films_until_4_to_7_pixels_are_left(size: int) -> None:
    module = convnet(2, 1, size, width=1).make()
    side = module.classifier.in_features**0.5
    assert 4 <= side <= 7
    assert side == size // 2 ** sum(isinstance(part, nn.AvgPool2d) for part in module.features)


@pytest.mark.parametrize(("size", "depth"), [(7, 3), (1, None), (16, 5)])
def test_a_convnet_deeper_than_its_film_is_refused(size: int, depth: int | None) -> None:
    with pytest.raises(ValueError, match=f"{size} px is too small"):
        convnet(2, 1, size, depth=depth)


def test_a_resnet_for_thumbnails_is_refused() -> None:
    with pytest.raises(ValueError, match="15 px is too small for resnet18; use 16 or more"):
        resnet18(2, 1, 15)


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

    x = films(2, 1, 32, torch.double)
    f = convnet(2, 1, 32, width=5)
    drawn = f.init(torch.Generator().manual_seed(0), like=x)
    # Scales that differ from one, so that they matter.
    theta = {name: weight + 0.1 * torch.rand_like(weight) for name, weight in drawn.items()}
    torch.testing.assert_close(f(theta, x), naive(theta, x))
    assert sum(
        weight.numel() for weight in convnet(10, 3, 32).init(torch.Generator()).values()
    ) == (
        # The published count of the ConvNet-3 of width 128 for CIFAR-10.
        320_010
    )


@every_architecture
def test_weights_can_be_trained_through_the_functional_form(name: str) -> None:
    x = films(2, 1, 16)
    f = small(name, 2, 1, 16)
    theta = {n: w.requires_grad_() for n, w in f.init(torch.Generator().manual_seed(0)).items()}
    grads = torch.autograd.grad(f(theta, x)[:, 0].sum(), list(theta.values()))
    assert all(grad.isfinite().all() for grad in grads)
    assert any(grad.any() for grad in grads)
