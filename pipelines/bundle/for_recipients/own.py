"""The method's own classifier, made from the tensors alone. Needs torch and safetensors.

From the command line, python own.py --films films.safetensors [--labels labels.csv]; in Python,

from own import classifier
probabilities = classifier()(films)

films are standardised as loader.py standardises: (display value from 0 to 1 - mean) / std. Which
method made the images, and with which settings, is in synthetic.safetensors. Some methods learn
images for a classifier of their own, and then it is better than a network of train.py.
"""

import argparse
from pathlib import Path

import torch
from kernels import FEATURES, KERNELS
from loader import SyntheticImages
from networks import fresh
from score import add_options, judge, run
from torch.nn.functional import cross_entropy

RELEASE = Path(__file__).with_name("synthetic.safetensors")

JUDGES = 8
"""Networks whose features rfad and frepo regress on."""


def by_kernel(data, _):
    """kip, label-solve: kernel regression, a network of infinite width trained to the end."""
    kernel = KERNELS[data.facts["ingredients"]["kernel"]]
    alpha = solved(kernel(data.images, data.images), data)
    return lambda films: kernel(films, data.images) @ alpha


def by_features(data, _):
    """moments: linear regression on a few features of the pixels."""
    features = FEATURES[data.facts["ingredients"]["features"]]
    phi, y = features(data.images), data.labels.double()
    middle = phi.mean(0)
    w = torch.linalg.pinv(phi - middle, rtol=1e-4) @ (y - y.mean(0))
    return lambda films: (features(films) - middle) @ w


def by_random_networks(data, rng):
    """rfad: regression on the features of networks that nobody trained."""
    return on_networks([drawn(data, rng) for _ in range(JUDGES)], data)


def by_trained_networks(data, rng):
    """frepo: regression on the features of networks that were briefly trained on the images."""
    networks = [drawn(data, rng) for _ in range(JUDGES)]
    for number, network in enumerate(networks):
        adam = torch.optim.Adam(network.parameters(), lr=data.facts["fields"]["lr_net"])
        for _ in range((2 * number + 1) * data.facts["fields"]["online"] // (2 * JUDGES)):
            adam.zero_grad()
            ((network(data.images) - centred(data.labels)).square().mean() / 2).backward()
            adam.step()
    return on_networks(networks, data)


def by_program(data, rng):
    """dd: a network that takes the learned steps on parts of the images, in their order."""
    fields, classes = data.facts["fields"], data.labels.shape[1]
    parts = torch.arange(len(data)).view(classes, -1).tensor_split(fields["batches"], dim=1)
    rows = [part.flatten() for part in parts] * fields["epochs"]
    return followed(zip(rows, data.facts["step sizes"], strict=True), data, rng)


def by_steps(data, rng):
    """soft-label: a network that takes steps of the learned size on all images."""
    step = (torch.arange(len(data)), data.facts["step sizes"])
    return followed([step] * data.facts["fields"]["horizon"], data, rng)


CLASSIFIERS = {
    "dd": by_program,
    "soft-label": by_steps,
    "kip": by_kernel,
    "label-solve": by_kernel,
    "frepo": by_trained_networks,
    "rfad": by_random_networks,
    "moments": by_features,
}


def drawn(data, rng, seed=None):
    """Returns a fresh network of the method, of one of several if it was made for several.

    With a seed, which is then part of the release, the network is always the same.
    """
    rng = rng if seed is None else torch.Generator().manual_seed(seed)
    names = data.facts["ingredients"]["network"].split("+")
    which = int(torch.randint(len(names), (), generator=rng)) if len(names) > 1 else 0
    width = data.facts["training"]["width"]
    return fresh(names[which], data.labels.shape[1], *data.images.shape[1:3], width, rng)


def followed(program, data, rng):
    """Returns a network that takes gradient steps: pairs of rows and step size."""
    network = drawn(data, rng, data.facts["fields"]["weights_seed"])
    weights = list(network.parameters())
    for rows, size in program:
        loss = cross_entropy(network(data.images[rows]), data.labels[rows])
        pulls = torch.autograd.grad(loss, weights)
        with torch.no_grad():
            for weight, pull in zip(weights, pulls, strict=True):
                weight -= size * pull
    return network


def on_networks(networks, data):
    """Returns the ridge regression on the features of networks, side by side."""

    def features(x):
        return torch.cat([network.features(x) for network in networks], 1).double()

    with torch.no_grad():
        phi = features(data.images)
        w = phi.T @ solved(phi @ phi.T, data)
    return lambda films: features(films) @ w


def solved(k, data):
    """Returns (k + ridge tr(k) / n I)^-1 y, (n, K), for centred labels y."""
    ridge = data.facts["fields"]["ridge"] * k.trace() / len(k) * torch.eye(len(k)).to(k)
    return torch.cholesky_solve(centred(data.labels), torch.linalg.cholesky(k + ridge))


def centred(labels):
    """Returns labels minus 1 / K: an image unlike all others gets every class alike."""
    return labels.double() - 1 / labels.shape[1]


def classifier(seed=0, release=RELEASE, many=None):
    """Returns a function from standardised films (n, C, H, W) to class probabilities (n, K).

    Args:
        seed: of the networks, where the method draws any: the same as medidd's from this seed.
        release: the file of the images.
        many: classifiers whose mean prediction is returned, each with networks of its own; by
            default as many as the card has. Where nothing is drawn, one is enough.
    """
    data = SyntheticImages(release)
    method = data.facts["method"]
    if method not in CLASSIFIERS:
        raise ValueError(f"the method {method} has no classifier of its own; use train.py")
    make, rng = CLASSIFIERS[method], torch.Generator().manual_seed(seed)
    many = data.facts["training"]["networks"] if many is None else many
    each = [make(data, rng) for _ in range(1 if make in (by_kernel, by_features) else many)]

    @torch.no_grad()
    def classify(films):
        parts = films.split(256)
        found = [torch.cat([scores(part).softmax(1) for part in parts]) for scores in each]
        return torch.stack(found).mean(0).to(films)

    return classify


def main():
    """Runs the program."""
    options = argparse.ArgumentParser(description="Score films with the method's own classifier.")
    add_options(options, required=True)
    given = options.parse_args()
    judge(lambda: classifier(given.seed), SyntheticImages(RELEASE), given)


if __name__ == "__main__":
    run(main)
