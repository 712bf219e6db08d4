"""Every method beside its textbook form, which does the same slowly."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import pytest
import torch
from one_expert import Expert, seeded

from benchmarks.measuring import along_a_path
from benchmarks.textbook import TEXTBOOK, Films, Outcome, outcomes
from medidd.architectures import convnet, mlp
from medidd.augment import OPERATIONS
from medidd.data import RealSet, SyntheticSet
from medidd.denoisers.shapes import Shape
from medidd.denoisers.trained import Configuration, Trained
from medidd.denoisers.training import Training
from medidd.distill import DrawsImages, Method, Prepares
from medidd.features import LowFrequencies
from medidd.fields import fields, make
from medidd.kernels import ConvKernel, FCKernel
from medidd.methods import METHODS
from medidd.network import Network

EVERY = tuple(OPERATIONS)


@dataclass(frozen=True)
class Row:
    """A method, its films and S.

    Attributes:
        method: its name.
        values: its fields.
        steps: updates of S, along as many paths as it takes.
        network: which network it has.
    """

    method: str
    values: dict[str, Any] = field(default_factory=dict)
    steps: int = 3
    classes: int = 2
    channels: int = 1
    size: int = 8
    ipc: int = 2
    network: Callable[..., Network] = convnet

    def made(self, dtype: torch.dtype) -> tuple[Method, SyntheticSet, Films]:
        """Makes all three; numbers are the same in both dtypes."""
        rng = seeded(5)
        f = self.network(self.classes, self.channels, self.size, width=4)
        how = Configuration(Shape((16, 16), block=2), Training(1))
        denoiser = Trained(None, how, self.classes, self.channels, self.size, {})
        given = {"network": f, "experts": expert(f, dtype), "denoiser": denoiser}
        kind = METHODS[self.method]
        own = {name: value for name, value in given.items() if name in fields(kind)}
        method = make(kind, {**own, **self.values})
        shape = (self.channels, self.size, self.size)
        # Classes of different sizes; the first is smaller than a batch.
        labels = torch.arange(self.classes).repeat_interleave(torch.arange(self.classes) * 3 + 4)
        films = torch.randn(len(labels), *shape, generator=rng) + labels[:, None, None, None]
        images = torch.randn(self.classes * self.ipc, *shape, generator=rng)
        soft = torch.eye(self.classes).repeat_interleave(self.ipc, 0)
        if self.method == "soft-label":
            soft = soft * 0.8 + 0.2 / self.classes
        s = SyntheticSet(images.clamp(-2, 2).to(dtype), soft.to(dtype), torch.zeros(()).to(dtype))
        if isinstance(method, DrawsImages):
            s = method.encode(s)
            for name, weight in s.model.items():  # of fresh weights the last are 0
                s.model[name] = weight + 0.1 * torch.randn(weight.shape, generator=rng).to(dtype)
        if isinstance(method, Prepares):
            s = method.prepare(s)
        return method, s, Films(films.clamp(-2, 2).to(dtype), labels, self.classes)


def expert(f: Network, dtype: torch.dtype) -> Expert:
    """One that went somewhere."""
    start, rng = f.init(seeded(2), like=torch.zeros((), dtype=dtype)), seeded(3)
    steps = {
        name: 0.05 * torch.randn(weight.shape, generator=rng) for name, weight in start.items()
    }
    return Expert(start, {name: start[name] + steps[name].to(dtype) for name in start})


ROWS = [
    Row("dm", {"augment": ()}, classes=3, channels=3, size=16),
    Row("dm", {"augment": EVERY, "batch": 6}, steps=12, channels=3),
    Row("dc", {"inner_steps": 3, "net_epochs": 2, "lr_net": 0.05, "batch": 6}, 5, classes=3),
    Row("dc", {"inner_steps": 2, "net_epochs": 2, "lr_net": 100.0}, 2, channels=3, size=16),
    Row("dc", {"inner_steps": 2, "net_epochs": 2, "lr_net": 0.1}, 2, network=mlp),
    Row("dsa", {"inner_steps": 5, "net_epochs": 3, "augment": EVERY}, 5, channels=3),
    Row("dsa", {"inner_steps": 2, "net_epochs": 2, "augment": ()}, 2, classes=3),
    Row("idc", {"inner_steps": 2, "net_steps": 2, "batch": 6}, 7, classes=3),
    Row("idc", {"inner_steps": 2, "net_steps": 1, "metric": "l1", "augment": EVERY}, 4, channels=3),
    Row("idc", {"inner_steps": 1, "factor": 3}, 2, size=16),
    Row("mtt", {"inner_steps": 6, "augment": EVERY, "batch": 3, "lr": 0.1}, channels=3),
    Row("mtt", {"inner_steps": 4, "augment": (), "lr": 0.1}, 2, classes=3, size=16),
    Row("mtt", {"inner_steps": 4, "batch": 4, "lr": 0.1}, network=mlp),
    Row("tesla", {"inner_steps": 6, "augment": EVERY, "batch": 3, "lr": 0.1}, channels=3),
    Row("tesla", {"inner_steps": 4, "augment": (), "lr": 0.1}, 2, classes=3),
    Row("dd", {"batches": 2, "epochs": 3, "lr": 0.1, "batch": 6}, classes=3, ipc=3),
    Row("dd", {"epochs": 4, "lr": 0.1, "weights_seed": 4}, 2, channels=3, size=16),
    Row("soft-label", {"horizon": 5, "window": 5, "lr": 0.1, "batch": 6}, classes=3),
    Row("soft-label", {"horizon": 6, "window": 3, "lr": 0.1, "weights_seed": 4}, 4, channels=3),
    Row("kip", {"kernel": FCKernel(2), "lr_labels": 0.01, "batch": 6}, classes=3, channels=3),
    Row("kip", {"kernel": ConvKernel(2)}),
    Row("label-solve", {"kernel": FCKernel(1)}, 1, classes=3, channels=3),
    Row("label-solve", {"kernel": ConvKernel(2), "constraint": "none"}, 1),
    Row("rfad", {"networks": 3, "lr_labels": 0.01, "augment": EVERY, "batch": 6}, 6, channels=3),
    Row("rfad", {"augment": ()}, classes=3, size=16),
    Row("frepo", {"pool": 2, "online": 3, "lr_net": 0.01, "augment": EVERY}, 6, channels=3),
    Row("frepo", {"pool": 1, "online": 0, "lr_labels": 0.01}, 2, classes=3),
    Row("minimax", {"memory": 6, "path": 3, "batch": 9, "lambda_r": 0.3}, 3, classes=3),
    Row("minimax", {"memory": 2, "path": 2, "lambda_d": 0.5, "lr": 0.01}, 4, channels=3),
    Row("moments", {"features": LowFrequencies(6), "refined": 3, "drawn": 8}, 1, classes=3),
    Row("moments", {"features": LowFrequencies(6), "refined": 0}, 1, channels=3, ipc=3),
    Row("moments", {"features": LowFrequencies(6), "refined": 2}, 1, ipc=1),
    Row("moments", {"features": LowFrequencies(), "refined": 0}, 1),
    Row("class-mean", {}, 1, classes=3, channels=3),
]


def test_every_method_has_its_textbook_form() -> None:
    assert {row.method for row in ROWS} == set(TEXTBOOK) == set(METHODS)


def ours(method: Method, s: SyntheticSet, films: Films, rng: torch.Generator) -> Iterator[Outcome]:
    """What a method finds along one path, looking at three films at once."""
    real = RealSet(films.images, films.labels, films.classes, rng, chunk=3)
    return along_a_path(method, s, real, rng)


def error(one: Outcome, other: Outcome) -> float:
    """The greatest difference of the loss or a gradient, relative to its largest entry.

    All weights of a model count as one: what a softmax does not see of them has a gradient of 0.
    """
    pairs = [(one.loss, other.loss)]
    of_model = [name for name in one.gradients if name.startswith("model.")]
    if of_model:
        flat = [torch.cat([of.gradients[n].flatten() for n in of_model]) for of in (one, other)]
        pairs.append((flat[0], flat[1]))
    of_others = one.gradients.keys() - set(of_model)
    pairs += [(one.gradients[name], other.gradients[name]) for name in of_others]
    assert all(wanted.abs().max() > 0 for _, wanted in pairs)
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs)


every_row = pytest.mark.parametrize(
    ("row", "seed"),
    [(row, seed) for seed, row in enumerate(ROWS)],
    ids=[f"{row.method}-{seed}" for seed, row in enumerate(ROWS)],
)


def moved(one: SyntheticSet, other: SyntheticSet) -> None:
    """Takes one set to where another is."""
    for name, tensor in one.tensors().items():
        tensor.data.copy_(other.tensors()[name].detach())


@every_row
def test_losses_and_gradients_are_those_of_the_textbook(row: Row, seed: int) -> None:
    method, s, films = row.made(torch.float64)
    same, rng, replay = copy.deepcopy(s), seeded(seed), seeded(seed)
    optimizer, taken = method.optimizer(s), 0
    while taken < row.steps:
        theirs = outcomes(method, same, films, replay)
        for mine, wanted in zip(ours(method, s, films, rng), theirs, strict=True):
            assert error(mine, wanted) < 1e-9
            optimizer.step()
            moved(same, s)
            taken += 1
        assert torch.equal(rng.get_state(), replay.get_state())


@every_row
def test_in_single_precision_they_round_no_worse_than_the_textbook(row: Row, seed: int) -> None:
    method, s, films = row.made(torch.float32)
    plain, (_, exact, exact_films) = copy.deepcopy(s), row.made(torch.float64)
    optimizer = method.optimizer(s)
    moved(exact, s)
    paths = zip(
        ours(method, s, films, seeded(seed)),
        outcomes(method, plain, films, seeded(seed)),
        outcomes(row.made(torch.float64)[0], exact, exact_films, seeded(seed)),
        strict=True,
    )
    for mine, theirs, true in islice(paths, 2):
        # Sums that nearly cancel, as in the gradient of a step size, lose digits either way.
        assert error(mine, true) < max(1e-5, 4 * error(theirs, true))
        optimizer.step()
        moved(plain, s)
        moved(exact, s)
