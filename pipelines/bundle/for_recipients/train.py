"""Trains classifiers as the sender did. Needs torch and safetensors, nothing else.

From the command line, python train.py [--network convnet] [--seed 0] [--to networks.pt], and with
--films films.safetensors [--labels labels.csv] it also scores films; in Python,

from train import predict, trained
probabilities = predict(trained(), films)

films are standardised as loader.py standardises: (display value from 0 to 1 - mean) / std. The
same seed gives the weights that medidd would train.
"""

import argparse
from functools import partial
from itertools import islice
from pathlib import Path

import torch
from loader import SyntheticImages
from networks import NETWORKS, fresh
from score import add_options, judge, run
from torch.nn.functional import affine_grid, cross_entropy, grid_sample, pad

RELEASE = Path(__file__).with_name("synthetic.safetensors")


def augmented(x, operation, u):
    """Applies one operation to images (n, C, H, W), with parameters from draws (3, n) in [0, 1)."""
    height, width = x.shape[2:]
    moves, u = u[:2], u[:, :, None, None, None]
    if operation == "brightness":
        return x + (u[0] - 0.5)
    if operation == "contrast":
        mean = x.mean((1, 2, 3), keepdim=True)
        return (x - mean) * (u[0] + 0.5) + mean
    if operation == "crop":
        reach = int(height * 0.125 + 0.5)
        moves = (moves * (2 * reach + 1)).int().T.tolist()
        wide = pad(x, [reach] * 4)
        parts = [wide[i, :, r : r + height, c : c + width] for i, (r, c) in enumerate(moves)]
        return torch.stack(parts)
    if operation == "cutout":
        side = int(height * 0.5 + 0.5)
        rows = torch.arange(height)[:, None] - (u[0] * height).floor() + side // 2
        columns = torch.arange(width) - (u[1] * width).floor() + side // 2
        return x * ~((rows >= 0) & (rows < side) & (columns >= 0) & (columns < side))
    if operation == "scale":
        low, high = 1 / 1.2, 1.2
        grown = low + (high - low) * moves
        none = torch.zeros(len(x))
        rows = [torch.stack([grown[0], none, none], 1), torch.stack([none, grown[1], none], 1)]
        grid = affine_grid(torch.stack(rows, 1), list(x.shape), align_corners=True)
        return grid_sample(x, grid, align_corners=True)
    raise ValueError(f"unknown operation {operation}")


def batches(n, size, rng):
    """Yields rows of batches without end; every row comes once before any comes again."""
    while size >= n:
        yield torch.arange(n)
    while True:
        yield from torch.randperm(n, generator=rng).split(size)


def train(images, labels, how, rng, network="convnet"):
    """Returns one network, trained on images (n, C, H, W) with soft labels (n, K)."""
    model = fresh(network, labels.shape[1], *images.shape[1:3], how["width"], rng)
    weights = list(model.parameters())
    sgd = torch.optim.SGD(weights, how["lr"], how["momentum"], weight_decay=how["weight_decay"])
    falling = torch.optim.lr_scheduler.MultiStepLR(sgd, [how["steps"] // 2], gamma=0.1)
    mean = [torch.zeros_like(weight) for weight in weights]
    last = max(round(how["averaged"] * how["steps"]), 1)
    drawn = islice(batches(len(images), how["batch"], rng), how["steps"])
    for step, rows in enumerate(drawn, start=1 - how["steps"] + last):
        x, operations = images[rows], how["augment"]
        if operations:
            which = int(torch.randint(len(operations), (), generator=rng))
            x = augmented(x, operations[which], torch.rand(3, len(x), generator=rng))
        if how["noise"]:
            x = x + how["noise"] * torch.randn(x.shape, generator=rng)
        sgd.zero_grad()
        cross_entropy(model(x), labels[rows]).backward()
        sgd.step()
        falling.step()
        if step > 0:  # one of the last, whose mean is returned
            for kept, weight in zip(mean, weights, strict=True):
                kept += (weight.detach() - kept) / step
    with torch.no_grad():
        for kept, weight in zip(mean, weights, strict=True):
            weight.copy_(kept)
    return model


def trained(seed=0, release=RELEASE, network="convnet"):
    """Returns the networks of the card, trained on the release; network is one of NETWORKS."""
    rng, data = torch.Generator().manual_seed(seed), SyntheticImages(release)
    how = data.facts["training"]
    many = range(how["networks"])
    return [train(data.images, data.labels, how, rng, network) for _ in many]


@torch.no_grad()
def predict(networks, films):
    """Returns the networks' mean class probabilities (n, K) for standardised films (n, C, H, W)."""
    parts = films.split(256)
    each = [torch.cat([network(part).softmax(1) for part in parts]) for network in networks]
    return torch.stack(each).mean(0)


def main():
    """Runs the program."""
    options = argparse.ArgumentParser(description="Train classifiers on the synthetic images.")
    options.add_argument("--network", default="convnet", choices=NETWORKS)
    options.add_argument("--to", default="networks.pt", help="file for the weights")
    add_options(options)
    given = options.parse_args()

    def networks():
        found = trained(given.seed, network=given.network)
        torch.save([network.state_dict() for network in found], given.to)
        return partial(predict, found)

    if given.films is not None:
        judge(networks, SyntheticImages(RELEASE), given)
    elif given.labels is not None:
        raise ValueError("--labels are of films: name them with --films")
    else:
        networks()


if __name__ == "__main__":
    run(main)
