"""A classifier that a recipient trained: its networks, and how films must be prepared for it."""

from collections.abc import Generator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from medidd.data import NORMALIZATION
from medidd.dicom.reading import Reading
from medidd.evaluate import Training, log_probabilities, train
from medidd.network import Architecture, Weights
from pipelines.learning.recipe import built
from pipelines.run.progress import Progress
from pipelines.run.seeds import generator
from pipelines.run.store import Json


@dataclass(frozen=True, eq=False)
class Model:
    """Networks of one architecture; their mean prediction counts.

    Attributes:
        network: name of the architecture.
        width: filters per block of the ConvNet.
        size: height and width of films, pixels.
        classes: names of the K classes.
        reading: how films are read.
        thetas: the weights of each network.
        released: the synthetic images that it was trained on, display values (n, 1, H, W).
        labels: their labels, (n, K).
        about: what it was trained on and how.
        film_classes: if films are cut, the classes that films have, in the order of ``classes``:
            networks classify patches, and films are called by votes. Else empty.
    """

    network: str
    width: int
    size: int
    classes: tuple[str, ...]
    reading: Reading
    thetas: tuple[Weights, ...]
    released: Tensor
    labels: Tensor
    about: Json
    film_classes: tuple[str, ...] = ()

    def probabilities(self, films: Tensor, device: torch.device | str = "cpu") -> Tensor:
        """Returns the mean class probabilities, (n, K), for display values (n, 1, H, W)."""
        f = architecture(self.network, len(self.classes), self.size, self.width)
        x = NORMALIZATION.standardize(films)
        parts = []
        for theta in self.thetas:
            here = {name: weight.to(device) for name, weight in theta.items()}
            parts.append(log_probabilities(f, here, x.to(device)).exp().cpu())
        return torch.stack(parts).mean(0)

    @property
    def components(self) -> Tensor:
        """Labels by site and class, (n, sites * K): films are mixtures of these.

        The mean image of a class over unlike sites would look like the films of none.
        """
        sites = [int(one["images"]) for one in self.about["bundles"]]
        found: Tensor = torch.block_diag(*torch.split(self.labels, sites))  # type: ignore[no-untyped-call]
        return found

    def module(self) -> nn.Module:
        """Returns display values (n, 1, H, W) to probabilities (n, K) as one module."""
        return _Whole(self)


def architecture(name: str, classes: int, size: int, width: int) -> Architecture:
    """Returns an architecture for gray images.

    Raises:
        Stop: the images are too small for it.
    """
    return built(classes, size, width)[name]


def trained(
    network: str,
    images: Tensor,
    labels: Tensor,
    *,
    width: int,
    count: int,
    how: Training,
    seed: int,
    device: torch.device,
) -> Generator[Progress, None, tuple[Weights, ...]]:
    """Trains ``count`` networks; the generator's value is the weights of each.

    Args:
        network: name of the architecture.
        images: standardised images, (n, 1, H, W).
        labels: soft labels, (n, K).
        width: filters per block of the ConvNet.
        count: how many networks.
        how: the training.
        seed: of all that is random.
        device: where to compute.
    """
    f = architecture(network, labels.shape[1], images.shape[-1], width)
    images, labels = images.to(device), labels.to(device)
    found = []
    for number in range(count):
        yield Progress("train networks", number, count)
        rng = generator(seed, "recipient", network, number)
        theta = train(f, images, labels, how, rng)
        found.append({name: weight.detach().cpu() for name, weight in theta.items()})
    yield Progress("train networks", count, count)
    return tuple(found)


class _Whole(nn.Module):
    def __init__(self, model: Model) -> None:
        super().__init__()
        f = architecture(model.network, len(model.classes), model.size, model.width)
        networks = []
        for theta in model.thetas:
            network = f.make()
            network.load_state_dict(theta)
            networks.append(network)
        self.networks = nn.ModuleList(networks)

    def forward(self, films: Tensor) -> Tensor:
        x = NORMALIZATION.standardize(films)
        return torch.stack([network(x).softmax(1) for network in self.networks]).mean(0)
