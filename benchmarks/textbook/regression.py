"""Textbook forms of the methods whose loss is that of a regression: KIP, label solve, RFAD, FRePo.

All real images of a step are one batch, each regression is solved with the whole matrix, and the
loss is differentiated as one graph. The kernels' recursion is closed: a literal form of it has the
same lines.
"""

import math
import sys
from collections.abc import Callable, Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.textbook.plain import Films, Outcome, Weights, embed, hard, leaf, leaves, logits
from medidd.augment import Augmentation, draw
from medidd.data import SyntheticSet
from medidd.kernels import ConvKernel, FCKernel
from medidd.methods import KIP, RFAD, FRePo, LabelSolve

Features = Callable[[Tensor], Tensor]


def kip(method: KIP, s: SyntheticSet, films: Films, rng: torch.Generator) -> Iterator[Outcome]:
    """Algorithm 1 of Nguyen et al., ICLR 2021: one step on S, and on its labels."""
    x, y = leaf(s.images), leaf(s.labels)
    k_ss = kernel(method.kernel, x, x)
    alpha = torch.linalg.solve(with_ridge(k_ss, method.ridge), centered(y))
    loss = torch.zeros(()).to(k_ss)
    for c in range(films.classes):
        real = films.batch(c, method.batch, rng)
        off = kernel(method.kernel, real, x) @ alpha - centered(hard(c, real, films.classes))
        loss = loss + (off**2).mean() / 2 / films.classes
    yield Outcome.of(loss, images=x, labels=y)


def label_solve(
    method: LabelSolve, s: SyntheticSet, films: Films, rng: torch.Generator
) -> Iterator[Outcome]:
    """Algorithm 2 of Nguyen et al., ICLR 2021: the least-squares labels, by one step of size 1.

    Every class weighs alike. Of several solutions that with the smallest weights is taken.
    """
    k_ss = with_ridge(kernel(method.kernel, s.images, s.images), method.ridge)
    before = torch.linalg.solve(k_ss, centered(s.labels.detach()))
    rows, wanted, loss = [], [], torch.zeros(()).to(k_ss)
    for c in range(films.classes):
        real = films.batch(c, sys.maxsize, rng)
        k_ts, y = kernel(method.kernel, real, s.images), centered(hard(c, real, films.classes))
        loss = loss + ((k_ts @ before - y) ** 2).mean() / 2 / films.classes
        weight = 1 / math.sqrt(len(real) * films.classes)
        rows.append(k_ts * weight)
        wanted.append(y * weight)
    alpha = torch.linalg.pinv(torch.cat(rows)) @ torch.cat(wanted)
    labels = k_ss @ alpha + 1 / films.classes
    if method.constraint == "simplex":
        # Drawn towards 1 / K by one factor for all, until none is negative.
        away = centered(labels)
        factor = min(1.0, -1 / (films.classes * min(float(away.min()), -1e-300)))
        labels = (away * factor + 1 / films.classes).clamp(min=0)
    yield Outcome(loss.detach(), {"labels": s.labels.detach() - labels.detach().to(s.labels)})


def rfad(method: RFAD, s: SyntheticSet, films: Films, rng: torch.Generator) -> Iterator[Outcome]:
    """Loo et al., NeurIPS 2022: one step on S, and on its labels, with fresh networks."""
    thetas = [method.network.init(rng, like=s.images) for _ in range(method.networks)]
    yield regressed(method, thetas, s, lambda c: films.batch(c, method.batch, rng), rng)


def frepo(method: FRePo, s: SyntheticSet, films: Films, rng: torch.Generator) -> Iterator[Outcome]:
    """Algorithm 1 of Zhou et al., NeurIPS 2022: the steps that one pool of networks serves."""
    rfad, pool = method.rfad, []
    for _ in range(method.pool):
        pool.append(Student(rfad.network.init(rng, like=s.images), method.lr_net))  # noqa: PERF401
    for number, student in enumerate(pool):
        for _ in range(number * method.online // method.pool):
            student.step(s)
    for _ in range(max(method.online, 1)):
        drawn = int(torch.randperm(method.pool, generator=rng)[0])
        if pool[drawn].age > method.online:
            pool[drawn] = Student(rfad.network.init(rng, like=s.images), method.lr_net)
        theta = [pool[drawn].theta]
        yield regressed(rfad, theta, s, lambda c: films.batch(c, rfad.batch, rng), rng)
        pool[drawn].step(s)  # on the S that the caller has stepped


class Student:
    """A network that Adam trains on S (Kingma & Ba, ICLR 2015, Algorithm 1).

    Args:
        theta: its fresh weights.
        lr: alpha.
    """

    def __init__(self, theta: Weights, lr: float) -> None:
        self.theta, self.age, self._adam = theta, 0, Adam(lr)

    def step(self, s: SyntheticSet) -> None:
        """Takes one step on the squared error of centred labels."""
        theta, y = leaves(self.theta), s.labels.detach() - 1 / s.classes
        loss = ((logits(theta, s.images.detach()) - y) ** 2).mean() / 2
        grads = torch.autograd.grad(loss, list(theta.values()))
        self.theta = self._adam(self.theta, dict(zip(theta, grads, strict=True)))
        self.age += 1


class Adam:
    """Adam with its usual constants.

    Args:
        lr: alpha.
    """

    def __init__(self, lr: float) -> None:
        self.lr, self._taken = lr, 0
        self._m: Weights = {}
        self._v: Weights = {}

    def __call__(self, theta: Weights, g: Weights) -> Weights:
        """Returns the weights after a step along gradient ``g``."""
        self._taken += 1
        stepped = {}
        for name, weight in theta.items():
            m = self._m.get(name, torch.zeros_like(weight))
            v = self._v.get(name, torch.zeros_like(weight))
            self._m[name] = m = 0.9 * m + 0.1 * g[name]
            self._v[name] = v = 0.999 * v + 0.001 * g[name] ** 2
            m, v = m / (1 - 0.9**self._taken), v / (1 - 0.999**self._taken)
            stepped[name] = weight - self.lr * m / (v.sqrt() + 1e-8)
        return stepped


def regressed(
    method: RFAD,
    thetas: Sequence[Weights],
    s: SyntheticSet,
    batch: Callable[[int], Tensor],
    rng: torch.Generator,
) -> Outcome:
    """Returns the error on real images of regression from S on the features of networks.

    Args:
        method: RFAD.
        thetas: weights of each network.
        s: S.
        batch: draws real images of a class.
        rng: draws the augmentation.
    """
    omega, x, y = draw(rng, method.augment), leaf(s.images), leaf(s.labels)
    phi = _features(thetas, omega, x)
    alpha = torch.linalg.solve(with_ridge(phi @ phi.T, method.ridge), centered(y))
    loss = torch.zeros(()).to(phi)
    for c in range(s.classes):
        real = batch(c)
        off = _features(thetas, omega, real) @ phi.T @ alpha - centered(hard(c, real, s.classes))
        loss = loss + (off**2).mean() / 2 / s.classes
    return Outcome.of(loss, images=x, labels=y)


def _features(thetas: Sequence[Weights], omega: Augmentation, x: Tensor) -> Tensor:
    return torch.cat([embed(theta, omega(x)) for theta in thetas], dim=1).double()


def with_ridge(k_ss: Tensor, ridge: float) -> Tensor:
    """Returns K + ridge * tr(K) / n * I."""
    n = len(k_ss)
    return k_ss + ridge * k_ss.trace() / n * torch.eye(n, dtype=k_ss.dtype, device=k_ss.device)


def centered(labels: Tensor) -> Tensor:
    """Returns labels (n, K) in float64 minus 1 / K."""
    return labels.double() - 1 / labels.shape[1]


def kernel(of: FCKernel | ConvKernel, x: Tensor, y: Tensor) -> Tensor:
    """Returns the tangent kernel (n, m) of images (n, C, H, W) and (m, C, H, W).

    Jacot et al., NeurIPS 2018; for convolutions Arora et al., NeurIPS 2019. Covariances are kept
    for each pixel; a fully connected layer has a single one.
    """
    convolves = isinstance(of, ConvKernel)
    x, y = (z.double() if convolves else z.double().reshape(len(z), -1, 1, 1) for z in (x, y))

    def read(k: Tensor) -> Tensor:
        """The mean over what one unit of a hidden layer reads."""
        return F.avg_pool2d(k, 3, stride=1, padding=1) if convolves else k

    def affine(k: Tensor) -> Tensor:
        return 2 * k + 0.01

    k = affine(read((x[:, None] * y).mean(2)))
    xx, yy = affine(read((x**2).mean(1))), affine(read((y**2).mean(1)))
    ntk = k
    for layer in range(of.depth):
        scale = (xx[:, None] * yy).sqrt()
        cos = k / scale
        # An image has no angle with itself, and arccos has no derivative there.
        angle = torch.where(cos.abs() > 1 - 1e-14, cos.sign(), cos).arccos()
        cos = angle.cos()
        k = scale * (angle.sin() + (math.pi - angle) * cos) / (2 * math.pi)
        slope = (math.pi - angle) / (2 * math.pi)
        last = layer == of.depth - 1
        mean = (lambda q: q.mean((-2, -1))) if last else read
        k, xx, yy = affine(mean(k)), affine(mean(xx / 2)), affine(mean(yy / 2))
        ntk = 2 * mean(slope * ntk) + k
    return ntk
