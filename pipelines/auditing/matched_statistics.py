"""What each method matches between synthetic and real images, for the tracing attack.

DM matches embeddings with embeddings, DC and the methods built on it gradients with gradients, both
under fresh networks. For DD, soft labels, MTT and TESLA the statistic is the change that a real
image would still make after training on S. For KIP and label solve it is the change that a real
image would still make to kernel regression from S, for RFAD and FRePo to regression on the features
of a fresh network. The change is least for images that were learned from. Moments match fixed
features, class means pixels. A start matches nothing; it is examined like DM.

All films of a class have the same label in the loss. Therefore, in a gradient at fresh weights,
only the image tells films apart. At weights trained on S, it also matters how well S fits the film.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.func import grad, vmap

from medidd.data import NORMALIZATION
from medidd.descent import descend, loss_on
from medidd.fields import values
from medidd.kernels import centered, on_features, regression
from medidd.network import Network, Weights
from medidd.sketch import LayerSketch
from medidd.starts import STARTS
from pipelines.learning.recipe import Recipe
from pipelines.run.seeds import derived, generator
from privacy.evidence import Match, Statistic
from privacy.release import Release

NETWORKS = 20
"""Number of random networks under which films are compared; more networks find nothing more."""

TRAINED = 5
"""Number of networks if each is trained on S and on every null release, which is slow."""

DIMENSIONS = 512
"""Dimensions of a sketched gradient, all layers together."""

STEPS, LR = 30, 0.05
"""Training on S, full batches; four times as many steps found no more."""

PUBLIC = 16
"""Number of noise images at which kernel regression is read; 256 make the attack no better."""

PIECE = 2**19
"""Entries of gradients computed at once. On a CPU, 16 films at once need half the time of single
films on a ConvNet of width 32 at 32 px, but three times as much on one of width 128 at 64 px."""

Kind = Callable[[Recipe, int, torch.device], Match]
"""Takes a recipe, the seed of one network and a device."""


def embedding(recipe: Recipe, seed: int, device: torch.device) -> Match:
    """What DM matches: the embedding of a fresh network."""
    f = _network(recipe)

    def statistic(display: Tensor, labels: Tensor) -> Tensor:  # noqa: ARG001
        x = _seen(display, device)
        return f.embed(_fresh(f, seed, x), x).cpu()

    return lambda release: statistic  # noqa: ARG005


def gradient(recipe: Recipe, seed: int, device: torch.device) -> Match:
    """What DC, DSA and IDC match: the gradient of the loss at fresh weights."""
    f = _network(recipe)

    def statistic(display: Tensor, labels: Tensor) -> Tensor:
        x = _seen(display, device)
        return sketched(f, _fresh(f, seed, x), x, labels.to(x), seed).cpu()

    return lambda release: statistic  # noqa: ARG005


def trained_gradient(recipe: Recipe, seed: int, device: torch.device) -> Match:
    """For DD, soft labels, MTT and TESLA: the gradient at weights trained on S."""
    f = _network(recipe)

    def match(release: Release) -> Statistic:
        x, y = _seen(release.images, device), release.labels.to(device)
        theta = descend(f, _fresh(f, seed, x), x, y, lr=LR, steps=STEPS)

        def statistic(display: Tensor, labels: Tensor) -> Tensor:
            x = _seen(display, device)
            return sketched(f, theta, x, labels.to(x), seed).cpu()

        return statistic

    return match


def functional_gradient(recipe: Recipe, seed: int, device: torch.device) -> Match:
    """What KIP and label solve minimise: the loss of kernel regression from S.

    A film t pulls the predicting function along (f_S(t) - y_t) k(t, .), read at public images.
    """
    method: Any = recipe.method

    def match(release: Release) -> Statistic:
        s = _seen(release.images, device)
        alpha = regression(method.kernel, s, release.labels.to(s), method.ridge)
        public = torch.randn(PUBLIC, *s.shape[1:], generator=generator(seed)).to(s)

        def statistic(display: Tensor, labels: Tensor) -> Tensor:
            x = _seen(display, device)
            off = method.kernel(x, s) @ alpha - centered(labels.to(x))
            return torch.einsum("nk,np->nkp", off, method.kernel(x, public)).flatten(1).cpu()

        return statistic

    return match


def regression_gradient(recipe: Recipe, seed: int, device: torch.device) -> Match:
    """What RFAD and FRePo ask of a film t: h (f_S(t) - y_t), h its features in a fresh network."""
    f, strength = _network(recipe), values(recipe.method)["ridge"]

    def match(release: Release) -> Statistic:
        s = _seen(release.images, device)
        theta = f.init(generator(seed), like=s)

        w = on_features(f.embed(theta, s).double(), release.labels.to(s), strength)

        def statistic(display: Tensor, labels: Tensor) -> Tensor:
            x = _seen(display, device)
            h = f.embed(theta, x)
            off = h.double() @ w - centered(labels.to(x))
            return torch.einsum("nk,nd->nkd", off.to(x), h).flatten(1).cpu()

        return statistic

    return match


def features(recipe: Recipe, seed: int, device: torch.device) -> Match:  # noqa: ARG001
    """What moments are taken of: the features that the method names, or the pixels themselves."""
    of: Callable[[Tensor], Tensor] = getattr(recipe.method, "features", lambda x: x.flatten(1))

    def statistic(display: Tensor, labels: Tensor) -> Tensor:  # noqa: ARG001
        return of(_seen(display, device)).cpu()

    return lambda release: statistic  # noqa: ARG005


MATCHED: Mapping[str, Kind] = {
    "class-mean": features,
    "dd": trained_gradient,
    "soft-label": trained_gradient,
    "dc": gradient,
    "kip": functional_gradient,
    "label-solve": functional_gradient,
    "dsa": gradient,
    "dm": embedding,
    "mtt": trained_gradient,
    "idc": gradient,
    "frepo": regression_gradient,
    "rfad": regression_gradient,
    "tesla": trained_gradient,
    "minimax": embedding,  # A1 asks the model itself (``explained_films.py``)
    "moments": features,
} | dict.fromkeys(STARTS, embedding)
"""What is matched, by the name of the method or of the start."""


def matched(
    recipe: Recipe, *, seed: int, device: torch.device, networks: int = NETWORKS
) -> list[Match]:
    """Returns what the recipe matches, under several networks.

    A kernel belongs to an infinitely wide network, so there is only one; so are fixed features.
    """
    kind = MATCHED[recipe.name]
    most: dict[Kind, int] = {trained_gradient: TRAINED, functional_gradient: 1, features: 1}
    count = min(networks, most.get(kind, networks))
    return [kind(recipe, derived(seed, "matched", number), device) for number in range(count)]


def sketched(f: Network, theta: Weights, x: Tensor, y: Tensor, seed: int) -> Tensor:
    """Returns the gradient of the loss on each film by the weights, projected, (n, DIMENSIONS).

    Every layer has the same number of dimensions, because DC compares layer by layer.
    One-dimensional weights have none, as in DC.
    """
    layers = LayerSketch.drawn(theta, DIMENSIONS, generator(seed, "sketch")).layers
    size = max(PIECE // sum(theta[name].numel() for name in layers), 1)
    rows = []
    for images, labels in zip(torch.split(x, size), torch.split(y, size), strict=True):
        of = per_film(f, theta, images, labels)
        rows.append(torch.cat([to(of[name]) for name, to in layers.items()], 1))
    return torch.cat(rows)


def per_film(f: Network, theta: Weights, x: Tensor, y: Tensor) -> Weights:
    """Returns the gradient of the loss on each single film, (n, weights) by name of the layer."""

    def loss(theta: Weights, image: Tensor, label: Tensor) -> Tensor:
        return loss_on(f, theta, image.unsqueeze(0), label.unsqueeze(0))

    found = vmap(grad(loss), in_dims=(None, 0, 0))(theta, x, y)
    return {name: rows.flatten(1) for name, rows in found.items()}


def _network(recipe: Recipe) -> Network:
    """Returns the network that the method matches under; a start gets the ConvNet."""
    held = {} if recipe.method is None else values(recipe.method)
    network: Network = held.get("network", recipe.networks["convnet"])
    return network


def _fresh(f: Network, seed: int, like: Tensor) -> Weights:
    """Draws the weights again each time: storing those of all networks would fill the memory."""
    return f.init(generator(seed), like=like)


def _seen(display: Tensor, device: torch.device) -> Tensor:
    return NORMALIZATION.standardize(display).to(device)
