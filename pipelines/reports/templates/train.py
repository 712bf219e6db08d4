"""Trains classifiers as the sender did. Needs torch and safetensors, nothing else.

From the command line, python train.py [--seed 0] [--to networks.pt]; in Python,

from train import predict, trained
probabilities = predict(trained(), films)

films are standardised as loader.py standardises: (display value from 0 to 1 - mean) / std.
"""

import argparse
from collections import OrderedDict
from copy import deepcopy
from pathlib import Path

import torch
from loader import SyntheticImages
from torch import nn
from torch.nn.functional import affine_grid, cross_entropy, grid_sample, pad

RELEASE = Path(__file__).with_name("synthetic.safetensors")


def convnet(classes, channels, size, width):
    """Blocks of convolution, instance norm, ReLU and pooling, down to 4 to 7 pixels."""
    layers, depth = [], max(size.bit_length() - 3, 1)
    for block in range(depth):
        convolution = nn.Conv2d(width if block else channels, width, 3, padding=1)
        layers += [convolution, nn.GroupNorm(width, width), nn.ReLU(), nn.AvgPool2d(2)]
    side = size >> depth
    linear = nn.Linear(width * side * side, classes)
    return nn.Sequential(
        OrderedDict(features=nn.Sequential(*layers, nn.Flatten()), classifier=linear)
    )


def augmented(x, operation):
    """Applies one operation, with parameters of its own for each image (n, C, H, W)."""
    n, _, height, width = x.shape
    u = torch.rand(3, n, 1, 1, 1)
    if operation == "brightness":
        return x + (u[0] - 0.5)
    if operation == "contrast":
        mean = x.mean((1, 2, 3), keepdim=True)
        return (x - mean) * (u[0] + 0.5) + mean
    if operation == "crop":
        reach = int(height * 0.125 + 0.5)
        moves = (u[:2].flatten(1) * (2 * reach + 1)).int().T.tolist()
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
        grown = low + (high - low) * u[:2].flatten(1)
        none = torch.zeros(n)
        rows = [torch.stack([grown[0], none, none], 1), torch.stack([none, grown[1], none], 1)]
        grid = affine_grid(torch.stack(rows, 1), list(x.shape), align_corners=True)
        return grid_sample(x, grid, align_corners=True)
    raise ValueError(f"unknown operation {operation}")


def train(images, labels, how):
    """Returns one network, trained on images (n, C, H, W) with soft labels (n, K)."""
    classes, (channels, size) = labels.shape[1], images.shape[1:3]
    network = convnet(classes, channels, size, how["width"])
    sgd = torch.optim.SGD(
        network.parameters(), how["lr"], how["momentum"], weight_decay=how["weight_decay"]
    )
    falling = torch.optim.lr_scheduler.MultiStepLR(sgd, [how["steps"] // 2], gamma=0.1)
    mean, last = deepcopy(network), max(round(how["averaged"] * how["steps"]), 1)
    for step in range(how["steps"]):
        rows = torch.randperm(len(images))[: how["batch"]]
        x, operations = images[rows], how["augment"]
        if operations:
            x = augmented(x, operations[int(torch.randint(len(operations), ()))])
        x = x + how["noise"] * torch.randn_like(x)
        sgd.zero_grad()
        cross_entropy(network(x), labels[rows]).backward()
        sgd.step()
        falling.step()
        averaged = step - how["steps"] + last + 1
        if averaged > 0:
            with torch.no_grad():
                for kept, weight in zip(mean.parameters(), network.parameters(), strict=True):
                    kept += (weight - kept) / averaged
    return mean


def trained(seed=0, release=RELEASE):
    """Returns the networks of the card, trained on the release."""
    torch.manual_seed(seed)
    data = SyntheticImages(release)
    how = data.facts["training"]
    return [train(data.images, data.labels, how) for _ in range(how["networks"])]


@torch.no_grad()
def predict(networks, films):
    """Returns the networks' mean class probabilities (n, K) for standardised films (n, C, H, W)."""
    return torch.stack([network(films).softmax(1) for network in networks]).mean(0)


if __name__ == "__main__":
    options = argparse.ArgumentParser(description="Train classifiers on the synthetic images.")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--to", default="networks.pt", help="file for the weights")
    given = options.parse_args()
    torch.save([network.state_dict() for network in trained(given.seed)], given.to)
