"""The field's networks, each without running statistics or dropout.

They are those of DC, DSA, DM and MTT (Zhao et al., ICLR 2021, arXiv:2006.05929); the ResNet and the
DenseNet are torchvision's. Instance norm is ``GroupNorm(C, C)``, with trainable scale and shift, as
in the authors' code. Three things are ours. Classifiers take their size from the image, so any size
works. One-channel images are padded like any other (the authors pad 28 px digits to 32). A pooling
that would leave a normalised layer with a single pixel is left out, because instance norm turns any
single pixel into zero.
"""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Literal

from torch import nn

from medidd.machine.layers import HalvedReLU, InstanceNorm, convolution
from medidd.network import Architecture

Norm = Literal["instance", "group", "layer", "none"]
Pooling = Literal["average", "max", "none"]

NORMS: dict[Norm, Callable[[int], nn.Module]] = {
    "instance": InstanceNorm,
    "group": lambda filters: nn.GroupNorm(4, filters),
    "layer": lambda filters: nn.GroupNorm(1, filters),
    "none": lambda _: nn.Identity(),
}
"""Normalisations by name, made for a number of filters. Each sees one image at a time."""

POOLINGS: dict[Pooling, Callable[[], nn.Module]] = {
    "average": HalvedReLU,
    "max": lambda: nn.Sequential(nn.ReLU(), nn.MaxPool2d(2)),
    "none": nn.ReLU,
}
"""ReLU and pooling by the pooling's name; all but the last halve an image, rounding down."""

SMALLEST = 16
"""Pixels below which LeNet, AlexNet, VGG, ResNet and DenseNet are refused: little is left for their
last layers to see."""


def convnet(
    classes: int,
    channels: int,
    size: int,
    *,
    width: int = 128,
    depth: int | None = None,
    norm: Norm = "instance",
    pooling: Pooling = "average",
) -> Architecture:
    """The ConvNet: blocks of convolution, norm, ReLU and pooling.

    Args:
        classes: K.
        channels: C of the images.
        size: their height and width in pixels.
        width: filters per block; a multiple of four for group norm.
        depth: blocks; each halves the image. By default as many as leave 4 to 7 px, which is the
            authors' 3 at 32 px and what later papers take for larger images.
        norm: the norm after each convolution. Layer norm has a scale and a shift per filter; the
            authors have them per pixel.
        pooling: the pooling at the end of a block.

    Raises:
        ValueError: the image is too small for so many blocks.
    """
    blocks_deep = max(size.bit_length() - 3, 1) if depth is None else depth
    side = size if pooling == "none" else size >> blocks_deep
    if size < 2 or side < 1:
        raise ValueError(
            f"{size} px is too small for {blocks_deep} blocks that each halve the image; use "
            f"fewer blocks or {2 ** max(blocks_deep, 1)} px or more"
        )

    def make() -> nn.Module:
        parts: dict[str, nn.Module] = {}
        for block in range(blocks_deep):
            first = convolution(width if block else channels, width)
            layers = (first, NORMS[norm](width), POOLINGS[pooling]())
            # Numbered by four, whatever a block is made of: weights on disk have these names.
            parts |= {str(4 * block + place): layer for place, layer in enumerate(layers)}
        features = nn.Sequential(OrderedDict(parts, flat=nn.Flatten()))
        return _network(features, nn.Linear(width * side * side, classes))

    return Architecture(make)


def mlp(classes: int, channels: int, size: int, *, width: int = 128) -> Architecture:
    """Three dense layers (the authors' MLP), the least similar to the other networks.

    Args:
        classes: K.
        channels: C of the images.
        size: their height and width in pixels.
        width: units per hidden layer.
    """

    def make() -> nn.Module:
        inputs = channels * size * size
        layers = [nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()]
        return _network(nn.Sequential(nn.Flatten(), *layers), nn.Linear(width, classes))

    return Architecture(make)


def lenet(classes: int, channels: int, size: int) -> Architecture:
    """LeNet-5 (LeCun et al. 1998) with ReLU and max pooling, as the authors use it for digits.

    Args:
        classes: K.
        channels: C of the images.
        size: their height and width in pixels, at least 16.

    Raises:
        ValueError: the image is smaller than 16 px.
    """
    _check(size, "lenet")
    side = (size // 2 - 4) // 2

    def make() -> nn.Module:
        features = nn.Sequential(
            *(nn.Conv2d(channels, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
            nn.Flatten(),
            *(nn.Linear(16 * side * side, 120), nn.ReLU()),
            *(nn.Linear(120, 84), nn.ReLU()),
        )
        return _network(features, nn.Linear(84, classes))

    return Architecture(make)


def alexnet(classes: int, channels: int, size: int, *, width: int = 128) -> Architecture:
    """AlexNet (Krizhevsky et al., NeurIPS 2012) for small images, as the authors use it.

    Torchvision's AlexNet starts with strides of four and needs 63 px. This one has no norm and no
    dropout.

    Args:
        classes: K.
        channels: C of the images.
        size: their height and width in pixels, at least 16.
        width: filters of the first layer, an even number; the others follow.

    Raises:
        ValueError: the image is smaller than 16 px.
    """
    _check(size, "alexnet")
    one, more, two = width, width * 3 // 2, width * 2
    side = size // 8

    def make() -> nn.Module:
        features = nn.Sequential(
            *(nn.Conv2d(channels, one, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(one, more, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(more, two, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(two, more, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(more, more, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            nn.Flatten(),
        )
        return _network(features, nn.Linear(more * side * side, classes))

    return Architecture(make)


def vgg11(classes: int, channels: int, size: int, *, width: int = 64) -> Architecture:
    """VGG-11 (Simonyan & Zisserman, ICLR 2015) with instance norm and one dense layer.

    Torchvision's VGG-11 is for three channels and has 120 million weights in its dense layers.

    Args:
        classes: K.
        channels: C of the images.
        size: their height and width in pixels, at least 16.
        width: filters of the first layer; the last have eight times as many.

    Raises:
        ValueError: the image is smaller than 16 px.
    """
    _check(size, "vgg11")
    stages = [(width, 1), (2 * width, 1), (4 * width, 2), (8 * width, 2), (8 * width, 2)]

    def make() -> nn.Module:
        layers: list[nn.Module] = []
        filters, side = channels, size
        for stage, (wider, convolutions) in enumerate(stages):
            for _ in range(convolutions):
                layers += [
                    nn.Conv2d(filters, wider, 3, padding=1),
                    NORMS["instance"](wider),
                    nn.ReLU(),
                ]
                filters = wider
            # No norm follows the last pooling, so it may leave a single pixel.
            if side >= 4 or stage == len(stages) - 1:
                layers += [nn.MaxPool2d(2)]
                side //= 2
        features = nn.Sequential(*layers, nn.Flatten())
        return _network(features, nn.Linear(filters * side * side, classes))

    return Architecture(make)


def resnet18(classes: int, channels: int, size: int) -> Architecture:
    """Torchvision's ResNet-18 (He et al., CVPR 2016) for small images.

    The first convolution is 3x3, with stride one below 64 px, and is not followed by pooling, as is
    usual for images this small; every BatchNorm is replaced by instance norm.

    Args:
        classes: K.
        channels: C of the images.
        size: their height and width in pixels, at least 16.

    Raises:
        ValueError: the image is smaller than 16 px.
    """
    _check(size, "resnet18")

    def make() -> nn.Module:
        from torchvision.models import resnet18 as build

        body = build(norm_layer=NORMS["instance"])
        body.conv1 = nn.Conv2d(channels, 64, 3, stride=1 if size < 64 else 2, padding=1, bias=False)
        body.maxpool = nn.Identity()
        body.fc = nn.Identity()
        return _network(body, nn.Linear(512, classes))

    return Architecture(make)


def densenet121(classes: int, channels: int, size: int) -> Architecture:
    """Torchvision's DenseNet-121 (Huang et al., CVPR 2017, arXiv:1608.06993) for small images.

    The first convolution is 3x3, with stride one below 64 px. The pooling after it is left out
    below 128 px; larger images keep it, because every layer holds the maps of all before it. Every
    BatchNorm is replaced by instance norm.

    Args:
        classes: K.
        channels: C of the images.
        size: their height and width in pixels, at least 16.

    Raises:
        ValueError: the image is smaller than 16 px.
    """
    _check(size, "densenet121")

    def make() -> nn.Module:
        from torchvision.models import densenet121 as build

        body = build().features
        norms = [name for name, layer in body.named_modules() if isinstance(layer, nn.BatchNorm2d)]
        for name in norms:
            body.set_submodule(name, NORMS["instance"](body.get_submodule(name).num_features))
        body.conv0 = nn.Conv2d(channels, 64, 3, stride=1 if size < 64 else 2, padding=1, bias=False)
        if size < 128:
            body.pool0 = nn.Identity()
        body.relu5, body.pool5, body.flat = nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        return _network(body, nn.Linear(1024, classes))

    return Architecture(make)


def _check(size: int, name: str) -> None:
    if size < SMALLEST:
        raise ValueError(f"{size} px is too small for {name}; use {SMALLEST} px or more")


def _network(features: nn.Module, classifier: nn.Module) -> nn.Module:
    return nn.Sequential(OrderedDict(features=features, classifier=classifier))


ARCHITECTURES: dict[str, Callable[..., Architecture]] = {
    "convnet": convnet,
    "convnet-shallow": partial(convnet, depth=2),
    "convnet-wide": partial(convnet, width=128),
    "mlp": mlp,
    "lenet": lenet,
    "alexnet": alexnet,
    "vgg11": vgg11,
    "resnet18": resnet18,
    "densenet121": densenet121,
}
"""Every architecture by its name."""
