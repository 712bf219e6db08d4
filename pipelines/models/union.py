"""Several bundles, and films of one's own, as one set to train on.

Every site counts alike, or by its weight, whatever number of images it has: the images of a site
with fewer are repeated until they make up the site's share of a batch, and what remains to be said
is said by the size of their labels. Cross-entropy is linear in the labels, so a label twice as
large counts an image twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import interpolate, one_hot

from medidd.data import NORMALIZATION
from medidd.dicom.folder.cohort import Cohort
from medidd.dicom.reading import Reading
from pipelines.models.received import Received
from pipelines.run.errors import Exit, Stop
from pipelines.run.patients import films_of

_PIXELS = ("voi", "crop")
"""Choices of ``Reading`` after which the same film has other pixels."""


_ROWS = 4096
"""Rows that a pool of few images may have; the size of the labels says what repeating cannot."""


@dataclass(frozen=True, eq=False)
class Union:
    """Bundles that can be used together.

    Attributes:
        bundles: in the order in which they were named; labels and classes in one order.
        remarks: what a person should know about them, as lines.
    """

    bundles: tuple[Received, ...]
    remarks: tuple[str, ...]

    @property
    def first(self) -> Received:
        """The bundle whose choices count where they differ."""
        return self.bundles[0]

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.first.classes

    @property
    def size(self) -> int:
        """Height and width in pixels."""
        return self.first.size

    @property
    def reading(self) -> Reading:
        """How films are read."""
        return self.first.reading

    @property
    def film_classes(self) -> tuple[str, ...]:
        """Names of the classes that films have, if films were cut; else none."""
        return self.first.film_classes

    @property
    def images(self) -> Tensor:
        """All images, display values (n, 1, H, W)."""
        return torch.cat([one.images for one in self.bundles])

    @property
    def labels(self) -> Tensor:
        """Their labels, (n, K)."""
        return torch.cat([one.labels for one in self.bundles])

    def pool(self, weights: Sequence[float], local: Cohort | None) -> tuple[Tensor, Tensor]:
        """Returns standardised images (n, 1, H, W) and weighted labels (n, K) to train on.

        Args:
            weights: of each bundle, and last of the own films, if there are any.
            local: own films, whose classes are those of the bundles; None for none.
        """
        sites = [(one.standardised, one.labels) for one in self.bundles]
        if local is not None:
            films = films_of(local, range(len(local.labels)))
            labels = one_hot(films.labels, len(self.classes)).float()
            sites.append((NORMALIZATION.standardize(films.images), labels))
        return _weighted(sites, weights)


def united(
    bundles: Sequence[Received], renamed: Mapping[str, str], size: int | None = None
) -> Union:
    """Matches the classes of bundles by name, and their sizes.

    Args:
        bundles: at least one.
        renamed: other names for classes.
        size: pixels to which images of another size are resampled; None to refuse such.

    Raises:
        Stop: their classes, sizes or patches do not match.
    """
    called = [_called(one, renamed) for one in bundles]
    first = called[0]
    for one in called[1:]:
        _require_cut_alike(one, first)
    sorted_alike = [_in_order(one, first) for one in called]
    sizes = sorted({one.size for one in called})
    if size is None and len(sizes) > 1:
        listed = ", ".join(f"{one.path} {one.size} px" for one in called)
        raise Stop(
            f"the bundles are of different sizes ({listed}); resample them with --size "
            f"{sizes[0]}, or train on bundles of one size",
            Exit.USAGE,
        )
    resampled = tuple(_resampled(one, size or sizes[0]) for one in sorted_alike)
    remarks = list(_differences(called))
    if any(one.size != resampled[0].size for one in called):
        remarks.append(f"images were resampled to {resampled[0].size} px")
    return Union(resampled, tuple(remarks))


def in_classes(cohort: Cohort, classes: Sequence[str], renamed: Mapping[str, str]) -> Cohort:
    """Returns a cohort whose labels are numbered as ``classes``.

    Args:
        cohort: the films.
        classes: of films, in the model's order.
        renamed: other names for classes.

    Raises:
        Stop: it has a class that is not among them.
    """
    names = [renamed.get(name, name) for name in cohort.classes]
    if strange := [name for name in names if name not in classes]:
        raise Stop(
            f"{len(strange)} classes of the films are not classes of the model "
            f"({', '.join(classes)}); name them alike in the table of labels, choose one finding "
            "with --target, or match names with --rename OLD=NEW",
            Exit.DATA,
        )
    numbers = torch.tensor([list(classes).index(name) for name in names]).numpy()
    return replace(cohort, labels=numbers[cohort.labels], classes=tuple(classes))


def _called(one: Received, renamed: Mapping[str, str]) -> Received:
    """Returns a bundle with other names for its classes."""
    classes, patches = _renamed(one, renamed), one.reading.patches
    films = tuple(renamed.get(name, name) for name in one.film_classes)
    if patches is None:
        return replace(one, classes=classes)
    background = renamed.get(patches.background, patches.background)
    reading = replace(one.reading, patches=replace(patches, background=background))
    return replace(one, classes=classes, reading=reading, film_classes=films)


def _require_cut_alike(one: Received, first: Received) -> None:
    """Checks that what two bundles show is as large, and that the same films are called.

    Raises:
        Stop: it is not.
    """
    if set(one.film_classes) != set(first.film_classes) or _cut(one) != _cut(first):
        raise Stop(
            f"{one.path}: its films were not cut into patches as those of {first.path} "
            f"({_cut(one)}, and {_cut(first)}); train on each bundle alone",
            Exit.USAGE,
        )


def _cut(one: Received) -> str:
    cut = one.reading.patches
    if cut is None:
        return "whole films"
    return (
        f"patches of {cut.size} in {cut.frame} pixels, films are "
        f"{' or '.join(sorted(one.film_classes))}"
    )


def _renamed(one: Received, renamed: Mapping[str, str]) -> tuple[str, ...]:
    names = tuple(renamed.get(name, name) for name in one.classes)
    if len(set(names)) < len(names):
        raise Stop(
            f"{one.path}: --rename gives two of its classes one name ({', '.join(names)}); give "
            "each its own",
            Exit.USAGE,
        )
    return names


def _in_order(one: Received, first: Received) -> Received:
    if set(one.classes) != set(first.classes):
        raise Stop(
            f"{one.path}: its classes ({', '.join(one.classes)}) are not those of {first.path} "
            f"({', '.join(first.classes)}); if they mean the same, match them with --rename "
            "OLD=NEW, else train on each bundle alone",
            Exit.USAGE,
        )
    columns = [one.classes.index(name) for name in first.classes]
    return replace(
        one,
        labels=one.labels[:, columns],
        classes=first.classes,
    )


def _resampled(one: Received, size: int) -> Received:
    if one.size == size:
        return one
    images = interpolate(one.images, (size, size), mode="bilinear", antialias=True)
    return replace(one, images=images.clamp(0, 1))


def _differences(bundles: Sequence[Received]) -> list[str]:
    first, found = bundles[0].reading.to_json(), []
    for name in _PIXELS:
        said = {str(one.reading.to_json()[name]) for one in bundles}
        if len(said) > 1:
            found.append(
                f"the bundles were made of films that were read differently ({name}: "
                f"{', '.join(sorted(said))}); films are read as for the first one "
                f"({first[name]})"
            )
    return found


def _weighted(
    sites: Sequence[tuple[Tensor, Tensor]], weights: Sequence[float]
) -> tuple[Tensor, Tensor]:
    counts = [len(images) for images, _ in sites]
    shares = [weight / sum(weights) for weight in weights]
    # So many rows that every image of every site counts once; but no more than memory bears.
    enough = max(count / share for count, share in zip(counts, shares, strict=True))
    rows = min(enough, max(_ROWS, 4 * sum(counts)))
    times = [
        max(round(rows * share / count), 1) for count, share in zip(counts, shares, strict=True)
    ]
    total = sum(count * time for count, time in zip(counts, times, strict=True))
    images = [image.repeat(time, 1, 1, 1) for (image, _), time in zip(sites, times, strict=True)]
    labels = [
        label.repeat(time, 1) * (share * total / (count * time))
        for (_, label), share, count, time in zip(sites, shares, counts, times, strict=True)
    ]
    return torch.cat(images), torch.cat(labels)
