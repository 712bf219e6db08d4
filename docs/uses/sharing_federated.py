"""Federated averaging: the other way to learn from several hospitals without moving films.

McMahan, Moore, Ramage, Hampson & Agüera y Arcas, AISTATS 2017, Algorithm 1, arXiv:1602.05629. In
every round each site gets the common weights, trains on its own films, and sends its weights back;
the new common weights are their mean, weighted by the sites' numbers of films. All sites take part
in each round. Ours: a visit is a number of steps, not of epochs, so that the smallest site trains
as much as in the other rows; momentum, augmentation and the cut of the step size half-way are those
of the other rows, too. There is no secure aggregation and no noise: weights are not a guarantee.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from medidd.architectures import convnet
from medidd.descent import batches
from medidd.evaluate import Training
from medidd.network import Network, Weights

Labelled = tuple[Tensor, Tensor]
"""Standardised images (n, C, H, W) and soft labels (n, K)."""

FLOAT = 4
"""Bytes of a weight that is sent."""


@dataclass(frozen=True)
class Round:
    """What a round ends with.

    Attributes:
        sent: the weights of each site after its visit.
        common: their weighted mean.
    """

    sent: list[Weights]
    common: Weights


def by_films(sites: Sequence[Labelled]) -> list[float]:
    """Returns the weight of each site in the paper: its share of all films."""
    films = torch.tensor([len(images) for images, _ in sites]).double()
    shares: list[float] = (films / films.sum()).tolist()
    return shares


def mean(sent: Sequence[Weights], shares: Sequence[float]) -> Weights:
    """Returns the weighted mean of networks, which are all of one architecture."""
    return {
        name: torch.stack([w * of[name] for w, of in zip(shares, sent, strict=True)]).sum(0)
        for name in sent[0]
    }


def rounds(
    f: Network,
    sites: Sequence[Labelled],
    shares: Sequence[float],
    count: int,
    how: Training,
    rng: torch.Generator,
) -> Iterator[Round]:
    """Yields each round.

    Args:
        f: the architecture.
        sites: the films of each site.
        shares: weight of each site in the mean; they sum to one.
        count: rounds.
        how: the training of each site, all rounds together; each visit has an equal part of it.
        rng: draws the first weights, the batches and the augmentation.
    """
    common = f.init(rng, like=sites[0][0])
    for number in range(count):
        sent = [
            visit(f, common, site, range(*_part(how.steps, number, count)), how, rng)
            for site in sites
        ]
        common = mean(sent, shares)
        yield Round(sent, common)


def _part(steps: int, number: int, count: int) -> tuple[int, int]:
    """Returns the first step of a round and the first of the next one."""
    return number * steps // count, (number + 1) * steps // count


def visit(
    f: Network,
    theta: Weights,
    films: Labelled,
    steps: range,
    how: Training,
    rng: torch.Generator,
) -> Weights:
    """Returns the weights after some steps of a training on films.

    It is ``medidd.evaluate.train``, but for where it begins and ends. Momentum begins anew, because
    a site sends only weights.

    Args:
        f: the architecture.
        theta: the weights at first; they stay.
        films: of one site.
        steps: the numbers of the steps in the whole training, which decide their size.
        how: the whole training.
        rng: draws the batches and the augmentation.
    """
    images, labels = films
    theta = {name: weight.detach().clone().requires_grad_() for name, weight in theta.items()}
    sgd = torch.optim.SGD(
        theta.values(), lr=how.lr, momentum=how.momentum, weight_decay=how.weight_decay
    )
    drawn = islice(batches(len(images), how.batch, rng), len(steps))
    for step, rows in zip(steps, drawn, strict=True):
        for group in sgd.param_groups:
            group["lr"] = how.lr if step < how.steps // 2 else how.lr / 10
        x, y = images[rows], labels[rows]
        if how.augment is not None:
            x = how.augment(rng, images=len(x))(x)
        sgd.zero_grad()
        cross_entropy(f(theta, x), y).backward()
        sgd.step()
    return {name: weight.detach() for name, weight in theta.items()}


def sent_by_a_site(f: Network, count: int) -> int:
    """Returns the bytes of weights that leave a site in so many rounds."""
    weights = f.init(torch.Generator().manual_seed(0))
    return count * FLOAT * sum(weight.numel() for weight in weights.values())


def widest(classes: int, size: int, count: int, most: int) -> int:
    """Returns the filters of the widest ConvNet whose weights fit into ``most`` bytes.

    Args:
        classes: K.
        size: height and width in pixels.
        count: rounds, in each of which all weights are sent.
        most: bytes that may leave a site.

    Raises:
        ValueError: not even one filter fits.
    """
    width = 0
    while sent_by_a_site(convnet(classes, 1, size, width=width + 1), count) <= most:
        width += 1
    if not width:
        raise ValueError(f"{most} bytes hold no network that is sent {count} times; allow more")
    return width
