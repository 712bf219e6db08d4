"""The field's networks, each without running statistics.

ConvNet is the network of DC, DSA, DM and MTT (Zhao et al., ICLR 2021, arXiv:2006.05929): blocks of
convolution, instance norm, ReLU and average pooling. Instance norm is ``GroupNorm(C, C)``, with
trainable scale and shift, as in the authors' code. Two things differ from that code: one-channel
images are padded by one pixel like any other (the authors pad 28x28 digits to 32x32), and the
classifier's size follows from the image, so that any size works.
"""

from collections import OrderedDict
from collections.abc import Callable

from torch import nn

from medidd.network import Network


def convnet(
    classes: int, channels: int, size: int, *, width: int = 128, depth: int | None = None
) -> Network:
    """The ConvNet.

    Args:
        classes: K.
        channels: C of the images.
        size: their height and width in pixels.
        width: filters per block.
        depth: blocks; each halves the image. By default as many as leave 4 to 7 px, which is the
            authors' 3 at 32 px and what later papers take for larger images.

    Raises:
        ValueError: the image is too small for so many blocks.
    """
    blocks_deep = max(size.bit_length() - 3, 1) if depth is None else depth
    side = size >> blocks_deep
    if side < 1:
        raise ValueError(f"{size} px is too small for {blocks_deep} blocks of half the size each")

    def make() -> nn.Module:
        blocks: list[nn.Module] = []
        for block in range(blocks_deep):
            blocks += [
                nn.Conv2d(width if block else channels, width, 3, padding=1),
                nn.GroupNorm(width, width),
                nn.ReLU(),
                nn.AvgPool2d(2),
            ]
        features = nn.Sequential(*blocks, nn.Flatten())
        return _network(features, nn.Linear(width * side * side, classes))

    return Network(make)


def resnet18(classes: int, channels: int, size: int) -> Network:
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
    if size < 16:
        raise ValueError(f"{size} px is too small for resnet18; use 16 or more")

    def make() -> nn.Module:
        from torchvision.models import resnet18 as build

        body = build(norm_layer=lambda filters: nn.GroupNorm(filters, filters))
        body.conv1 = nn.Conv2d(channels, 64, 3, stride=1 if size < 64 else 2, padding=1, bias=False)
        body.maxpool = nn.Identity()
        body.fc = nn.Identity()
        return _network(body, nn.Linear(512, classes))

    return Network(make)


def _network(features: nn.Module, classifier: nn.Module) -> nn.Module:
    return nn.Sequential(OrderedDict(features=features, classifier=classifier))


def mlp(classes: int, channels: int, size: int, *, width: int = 128) -> Network:
    """Three dense layers (the authors' MLP), the network least like the others.

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

    return Network(make)


ARCHITECTURES: dict[str, Callable[..., Network]] = {
    "convnet": convnet,
    "mlp": mlp,
    "resnet18": resnet18,
}
"""Every architecture by its name."""
