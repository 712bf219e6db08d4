"""Public projections of gradients."""

import pytest
import torch

from medidd.architectures import convnet
from medidd.sketch import LayerSketch, Sketch

CPU = torch.device("cpu")


def test_a_sketch_keeps_inner_products_on_average() -> None:
    rng = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 300, generator=rng)
    b = 0.7 * a + b
    found = []
    for _ in range(400):
        one = Sketch.drawn(300, 50, rng, CPU)(torch.stack([a, b]))
        found.append(float(one[0] @ one[1]))
    values = torch.tensor(found)
    error = float(values.std()) / 20
    assert abs(float(values.mean()) - float(a @ b)) < 3 * error
    assert float(values.std()) < 2 * float(a.norm() * b.norm()) / 50**0.5


def test_a_sketch_adds_each_entry_once_with_a_sign() -> None:
    one = Sketch.drawn(20, 4, torch.Generator().manual_seed(0), CPU)
    by_entry = one(torch.eye(20))
    assert torch.equal(by_entry.abs().sum(1), torch.ones(20))
    assert {-1.0, 1.0} <= set(by_entry.unique().tolist())
    row = torch.randn(1, 20, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(one(row), row @ by_entry)


def test_a_gradient_is_projected_layer_by_layer_with_one_row_each() -> None:
    f, rng = convnet(2, 1, 16, width=4), torch.Generator().manual_seed(0)
    theta = f.init(rng)
    rows = LayerSketch.drawn(theta, 23, rng)(theta)
    layers = [name for name, weight in theta.items() if weight.ndim > 1]
    assert [*rows] == layers
    assert [tuple(row.shape) for row in rows.values()] == [(1, 7), (1, 7), (1, 9)]
    one = LayerSketch.drawn(theta, 23, torch.Generator().manual_seed(1))
    for name in layers:
        expected = one.layers[name](theta[name].flatten()[None])
        torch.testing.assert_close(one(theta)[name], expected)


def test_linear_layers_can_be_left_out() -> None:
    f, rng = convnet(2, 1, 16, width=4), torch.Generator().manual_seed(0)
    theta = f.init(rng)
    kept = LayerSketch.drawn(theta, 8, rng, above=2).layers
    assert [theta[name].ndim for name in kept] == [4, 4]


@pytest.mark.parametrize(("dimensions", "above"), [(2, 1), (9, 4)])
def test_fewer_dimensions_than_layers_are_refused(dimensions: int, above: int) -> None:
    f, rng = convnet(2, 1, 16, width=4), torch.Generator().manual_seed(0)
    with pytest.raises(ValueError, match=f"{dimensions} dimensions is too small"):
        LayerSketch.drawn(f.init(rng), dimensions, rng, above=above)
