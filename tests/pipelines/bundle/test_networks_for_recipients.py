"""The networks of a bundle are those of medidd: same names, same weights, same outputs."""

from types import SimpleNamespace

import pytest
import torch

from medidd.architectures import ARCHITECTURES
from pipelines.learning.recipe import built


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_every_architecture_is_there(code: SimpleNamespace) -> None:
    assert list(code.networks.NETWORKS) == list(ARCHITECTURES)


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("size", [32, 64])
def test_a_network_is_medidds_from_the_same_generator(
    code: SimpleNamespace, name: str, size: int
) -> None:
    theirs = built(3, size, 8)[name]
    theta = theirs.init(seeded())
    ours = code.networks.fresh(name, 3, 1, size, 8, seeded())
    assert {n: w.shape for n, w in ours.state_dict().items()} == {
        n: w.shape for n, w in theta.items()
    }
    assert all(torch.equal(weight, theta[n]) for n, weight in ours.state_dict().items())
    x = torch.randn(2, 1, size, size, generator=seeded(1))
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(theta, x))
        torch.testing.assert_close(ours.features(x), theirs.embed(theta, x))
        other = {n: torch.randn(w.shape, generator=seeded(2)) * 0.1 for n, w in theta.items()}
        ours.load_state_dict(other)
        torch.testing.assert_close(ours(x), theirs(other, x))


def test_odd_sizes_and_color_images_have_networks_too(code: SimpleNamespace) -> None:
    for name, make in ARCHITECTURES.items():
        theirs, x = make(2, 3, 17), torch.randn(2, 3, 17, 17, generator=seeded(1))
        ours = code.networks.fresh(name, 2, 3, 17, 128, seeded())
        with torch.no_grad():
            torch.testing.assert_close(ours(x), theirs(theirs.init(seeded()), x))


def test_a_network_leaves_torchs_generator_as_it_was(code: SimpleNamespace) -> None:
    before = torch.get_rng_state()
    one, other = (code.networks.fresh("lenet", 2, 1, 16, 8, seeded(seed)) for seed in (0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(one.classifier.weight, other.classifier.weight)


def test_what_there_is_not_is_one_line(code: SimpleNamespace) -> None:
    with pytest.raises(ValueError, match=r"no network is called densenet; there are: convnet, "):
        code.networks.fresh("densenet", 2, 1, 32, 8, seeded())
    with pytest.raises(ValueError, match="8 px is too small for vgg11; use convnet"):
        code.networks.fresh("vgg11", 2, 1, 8, 8, seeded())
