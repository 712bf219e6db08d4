"""FRePo beside RFAD, and beside its algorithm written out with an Adam of its own."""

from collections.abc import Callable

import torch
from torch import Tensor

from medidd.architectures import convnet
from medidd.data import RealSet, SyntheticSet
from medidd.distill import Classifies, distill
from medidd.methods.frepo import FRePo, Member
from medidd.methods.rfad import RFAD
from medidd.network import Network, Weights


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Student:
    """A network that is trained on S by Adam, as its paper writes it (Kingma & Ba, ICLR 2015)."""

    def __init__(self, f: Network, theta: Weights, lr: float) -> None:
        self.f, self.theta, self.lr, self.age = f, theta, lr, 0
        self.m = {name: torch.zeros_like(weight) for name, weight in theta.items()}
        self.v = {name: torch.zeros_like(weight) for name, weight in theta.items()}

    def step(self, x: Tensor, y: Tensor) -> None:
        theta = {name: weight.clone().requires_grad_() for name, weight in self.theta.items()}
        loss = (self.f(theta, x.detach()) - (y - 1 / y.shape[1])).square().mean() / 2
        grads = torch.autograd.grad(loss, list(theta.values()))
        self.age += 1
        for name, g in zip(theta, grads, strict=True):
            self.m[name] = 0.9 * self.m[name] + 0.1 * g
            self.v[name] = 0.999 * self.v[name] + 0.001 * g.square()
            m, v = self.m[name] / (1 - 0.9**self.age), self.v[name] / (1 - 0.999**self.age)
            self.theta[name] = self.theta[name] - self.lr * m / (v.sqrt() + 1e-8)

    def steps(self, s: SyntheticSet, number: int) -> "Student":
        for _ in range(number):
            self.step(s.images, s.labels)
        return self


def test_a_pool_of_one_untrained_network_is_rfad(films: Callable, started: Callable) -> None:
    images, labels = films(6, classes=3)
    rfad = RFAD(convnet(3, 1, 16, width=8), steps=6, lr_labels=0.01, batch=4)
    found = []
    for method in (rfad, FRePo(rfad, pool=1, online=0)):
        s, rng = started(images, classes=3, ipc=2), seeded(3)
        real = RealSet(images, labels, 3, rng)
        losses = list(distill(method, s, real, steps=6, rng=rng))
        own = method.classifier(s, rng)(images)
        found.append((losses, s.images.detach(), s.labels.detach(), own, rng.get_state()))
    (losses, *tensors), (losses_too, *tensors_too) = found
    assert losses == losses_too
    for one, other in zip(tensors, tensors_too, strict=True):
        assert torch.equal(one, other)


def test_a_network_is_trained_on_s_alone_and_as_long_as_it_says(
    films: Callable, started: Callable
) -> None:
    images, _ = films(2, dtype=torch.double)
    s, f = started(images, ipc=2), convnet(2, 1, 16, width=8)
    theta = f.init(seeded(), like=images)
    student = Student(f, dict(theta), 0.01).steps(s, 5)
    member = Member(f, {name: weight.clone() for name, weight in theta.items()}, lr=0.01)
    with torch.no_grad():
        member.train(s, 3)
        member.train(s, 2)
    assert member.age == 5
    for name, weight in member.theta.items():
        assert not weight.requires_grad
        assert not torch.equal(weight, theta[name])
        torch.testing.assert_close(weight, student.theta[name])
    assert s.images.grad is None


def test_its_classifier_is_the_regression_on_networks_of_all_ages(
    films: Callable, started: Callable
) -> None:
    images, _ = films(4, classes=3, dtype=torch.double)
    s, f = started(images, classes=3, ipc=2), convnet(3, 1, 16, width=8)
    method, replay = FRePo(RFAD(f), online=16, lr_net=0.01), seeded(4)
    assert isinstance(method, Classifies)
    students = [Student(f, f.init(replay, like=images), 0.01) for _ in range(8)]
    thetas = [one.steps(s, age).theta for one, age in zip(students, range(1, 16, 2), strict=True)]
    expected = method.rfad.on_features(thetas, s)(images)
    torch.testing.assert_close(method.classifier(s, seeded(4))(images), expected)
    assert not torch.allclose(RFAD(f).classifier(s, seeded(4))(images), expected, atol=1e-4)
