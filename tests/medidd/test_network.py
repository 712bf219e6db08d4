"""Networks without weights."""

import pytest
import torch
from torch import nn

from medidd.architectures import convnet, mlp
from medidd.network import Architecture, Several


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
        Architecture(make)


def test_weights_in_two_places_are_refused() -> None:
    def make() -> nn.Module:
        module = nn.Sequential()
        module.add_module("features", nn.Linear(3, 3))
        module.add_module("classifier", nn.Linear(3, 3))
        module.classifier.weight = module.features.weight
        return module

    with pytest.raises(ValueError, match="some of its weights in two places"):
        Architecture(make)


def test_a_module_of_other_inputs_is_called_with_weights_as_an_argument(
    rng: torch.Generator,
) -> None:
    class Shifted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(3, 2)

        def forward(self, x: torch.Tensor, by: torch.Tensor, *, twice: bool = False) -> tuple:
            y = self.linear(x) + by
            return (2 * y if twice else y), by

    f = Architecture(Shifted)
    theta, x, by = f.init(rng), torch.randn(4, 3, generator=rng), torch.tensor([1.0, 5.0])
    wanted = x @ theta["linear.weight"].T + theta["linear.bias"] + by
    for twice in (False, True):
        shifted, back = f.call(theta, x, by, twice=twice)
        torch.testing.assert_close(shifted, (1 + twice) * wanted)
        assert back is by


def test_several_draw_one_of_their_architectures_and_are_that_one(rng: torch.Generator) -> None:
    networks = convnet(2, 1, 16, width=4), mlp(2, 1, 16, width=8)
    several = Several(networks)
    x, drawn = torch.randn(3, 1, 16, 16, generator=rng), set()
    for _ in range(12):
        state = rng.get_state()
        theta = several.init(rng, like=x.double())
        rng.set_state(state)
        which = int(torch.randint(2, (), generator=rng))
        own = networks[which].init(rng, like=x.double())
        assert torch.equal(several(theta, x.double()), networks[which](own, x.double()))
        assert torch.equal(several.embed(theta, x.double()), networks[which].embed(own, x.double()))
        drawn.add(which)
    assert drawn == {0, 1}
