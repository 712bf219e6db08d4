"""The field's small networks by name, without running statistics. Needs torch, nothing else.

from networks import fresh
network = fresh("resnet18", classes=2, channels=1, size=64, width=32, rng=torch.Generator())

The same generator gives the weights that medidd would draw. All have two children: features, from
images (n, C, H, W) to vectors, and classifier, from vectors to logits (n, K).
"""

from collections import OrderedDict

import torch
from torch import nn


def convnet(classes, channels, size, width=128, depth=None):
    """Blocks of convolution, instance norm, ReLU and pooling, by default down to 4 to 7 pixels."""
    layers, depth = [], max(size.bit_length() - 3, 1) if depth is None else depth
    for block in range(depth):
        convolution = nn.Conv2d(width if block else channels, width, 3, padding=1)
        layers += [convolution, nn.GroupNorm(width, width), nn.ReLU(), nn.AvgPool2d(2)]
    side = size >> depth
    return parted([*layers, nn.Flatten()], width * side * side, classes)


def mlp(classes, channels, size):
    """Three dense layers."""
    first, second = nn.Linear(channels * size * size, 128), nn.Linear(128, 128)
    return parted([nn.Flatten(), first, nn.ReLU(), second, nn.ReLU()], 128, classes)


def lenet(classes, channels, size):
    """LeNet-5 with ReLU and max pooling."""
    side = (size // 2 - 4) // 2
    layers = [nn.Conv2d(channels, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)]
    layers += [nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
    layers += [nn.Linear(16 * side * side, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU()]
    return parted(layers, 84, classes)


def alexnet(classes, channels, size):
    """AlexNet for small images, without norm and dropout."""
    layers = [nn.Conv2d(channels, 128, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)]
    layers += [nn.Conv2d(128, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)]
    layers += [nn.Conv2d(192, 256, 3, padding=1), nn.ReLU()]
    layers += [nn.Conv2d(256, 192, 3, padding=1), nn.ReLU()]
    layers += [nn.Conv2d(192, 192, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
    return parted(layers, 192 * (size // 8) ** 2, classes)


def vgg11(classes, channels, size):
    """VGG-11 with instance norm and one dense layer."""
    layers, filters, side = [], channels, size
    for stage, (wider, convolutions) in enumerate(
        [(64, 1), (128, 1), (256, 2), (512, 2), (512, 2)]
    ):
        for _ in range(convolutions):
            convolution = nn.Conv2d(filters, wider, 3, padding=1)
            layers += [convolution, nn.GroupNorm(wider, wider), nn.ReLU()]
            filters = wider
        if side >= 4 or stage == 4:  # instance norm makes zero of a single pixel
            layers += [nn.MaxPool2d(2)]
            side //= 2
    return parted([*layers, nn.Flatten()], filters * side * side, classes)


class Block(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, filters, wider, stride):
        super().__init__()
        shortcut = None
        if stride > 1:
            narrow = nn.Conv2d(filters, wider, 1, stride, bias=False)
            shortcut = nn.Sequential(narrow, nn.GroupNorm(wider, wider))
        self.conv1 = nn.Conv2d(filters, wider, 3, stride, padding=1, bias=False)
        self.bn1 = nn.GroupNorm(wider, wider)
        self.conv2 = nn.Conv2d(wider, wider, 3, padding=1, bias=False)
        self.bn2 = nn.GroupNorm(wider, wider)
        self.downsample = shortcut

    def forward(self, x):
        """Returns as many maps as the block has filters."""
        y = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        return (y + (x if self.downsample is None else self.downsample(x))).relu()


def resnet18(classes, channels, size):
    """ResNet-18 with instance norm; its first convolution is 3x3, and no pooling follows.

    Two layers are built as for large photographs and replaced. So torchvision draws its weights,
    and medidd those of its networks.
    """
    stages = [(64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2)]
    body = nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(3, 64, 7, bias=False),
            bn1=nn.GroupNorm(64, 64),
            relu=nn.ReLU(),
            **{
                f"layer{number}": nn.Sequential(
                    Block(filters, wider, stride), Block(wider, wider, 1)
                )
                for number, (filters, wider, stride) in enumerate(stages, start=1)
            },
            avgpool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            fc=nn.Linear(512, 1000),
        )
    )
    for module in body.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    body.conv1 = nn.Conv2d(channels, 64, 3, 1 if size < 64 else 2, padding=1, bias=False)
    body.fc = nn.Identity()
    return parted(body, 512, classes)


class DenseLayer(nn.Module):
    """Two convolutions of all maps that came before."""

    def __init__(self, filters):
        super().__init__()
        self.norm1, self.relu1 = nn.GroupNorm(filters, filters), nn.ReLU()
        self.conv1 = nn.Conv2d(filters, 128, 1, bias=False)
        self.norm2, self.relu2 = nn.GroupNorm(128, 128), nn.ReLU()
        self.conv2 = nn.Conv2d(128, 32, 3, padding=1, bias=False)

    def forward(self, x):
        """Returns the maps with 32 more."""
        y = self.conv1(self.relu1(self.norm1(x)))
        return torch.cat([x, self.conv2(self.relu2(self.norm2(y)))], 1)


def densenet121(classes, channels, size):
    """DenseNet-121 with instance norm; its first convolution is 3x3, as for small images.

    As in resnet18, torchvision's layers for large photographs are built first, and replaced.
    """
    layers = OrderedDict(
        conv0=nn.Conv2d(3, 64, 7, bias=False),
        norm0=nn.GroupNorm(64, 64),
        relu0=nn.ReLU(),
        pool0=nn.Identity() if size < 128 else nn.MaxPool2d(3, 2, padding=1),
    )
    filters = 64
    for number, count in enumerate((6, 12, 24, 16), start=1):
        layers[f"denseblock{number}"] = nn.Sequential(
            OrderedDict((f"denselayer{i + 1}", DenseLayer(filters + 32 * i)) for i in range(count))
        )
        filters += 32 * count
        if number < 4:
            layers[f"transition{number}"] = nn.Sequential(
                OrderedDict(
                    norm=nn.GroupNorm(filters, filters),
                    relu=nn.ReLU(),
                    conv=nn.Conv2d(filters, filters // 2, 1, bias=False),
                    pool=nn.AvgPool2d(2),
                )
            )
            filters //= 2
    layers |= {"norm5": nn.GroupNorm(filters, filters), "relu5": nn.ReLU()}
    layers |= {"pool5": nn.AdaptiveAvgPool2d(1), "flat": nn.Flatten()}
    body = nn.Sequential(layers)
    nn.Linear(filters, 1000)
    for module in body.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    body.conv0 = nn.Conv2d(channels, 64, 3, 1 if size < 64 else 2, padding=1, bias=False)
    return parted(body, filters, classes)


def parted(layers, dim, classes):
    """Returns a network of layers that end in ``dim`` numbers, and a classifier of these."""
    features = nn.Sequential(*layers) if isinstance(layers, list) else layers
    return nn.Sequential(OrderedDict(features=features, classifier=nn.Linear(dim, classes)))


NETWORKS = {
    "convnet": convnet,
    "convnet-shallow": convnet,
    "convnet-wide": convnet,
    "mlp": mlp,
    "lenet": lenet,
    "alexnet": alexnet,
    "vgg11": vgg11,
    "resnet18": resnet18,
    "densenet121": densenet121,
}


def fresh(name, classes, channels, size, width, rng):
    """Returns a network with weights drawn by a generator; torch's own generator stays as it was.

    Args:
        name: one of NETWORKS.
        classes: K.
        channels: C of the images.
        size: their height and width in pixels.
        width: filters of each block of "convnet"; the others have the widths of their papers.
        rng: a torch.Generator.
    """
    if name not in NETWORKS:
        raise ValueError(f"no network is called {name}; there are: {', '.join(NETWORKS)}")
    if size < 16 and name not in ("convnet", "convnet-wide", "mlp"):
        raise ValueError(f"{size} px is too small for {name}; use convnet")
    more = {"convnet": {"width": width}, "convnet-shallow": {"depth": 2}}.get(name, {})
    seed = int(torch.randint(2**62, (), generator=rng))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return NETWORKS[name](classes, channels, size, **more)
