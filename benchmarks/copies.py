"""What the searches for films (A5, A5b, A6, A9) find and what they take for one, in Markdown.

    python benchmarks/copies.py --data kermany_pneumonia_128_dev.npz --part plants --side 64

``--data`` holds ``images`` (n, H, W) uint8, ``labels``, ``patient_ids`` and perhaps
``duplicate_of``, the row of an earlier near-identical film or -1. In each split, patients are drawn
into members, controls and everybody else. The parts:

- "plants": films of members under a disguise, one among six released images; the share of them that
  A5 refuses, and whether it names the right person.
- "many": 70 images, each the mean of its class with a little of one member and weak noise.
- "releases": DM that began at films of members, and honest releases of the members.
- "alarms": releases without any member; how often each audit fails.
"""

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from medidd.architectures import convnet
from medidd.data import NORMALIZATION, RealSet
from medidd.distill import distill
from medidd.methods.dm import DM
from medidd.starts import STARTS, begin
from privacy import Evidence, Films, Release, Verdict, load_policy
from privacy.attacks.naming import naming
from privacy.attacks.nearest import SURE, copies
from privacy.attacks.set_test import set_test
from privacy.attacks.unmixing import unmixing
from privacy.likeness.clearness import chance, names

IMAGES = 6
AUDITS = {"A5": copies, "A5b": set_test, "A6": unmixing, "A9": naming}


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--part", type=click.Choice(["plants", "many", "releases", "alarms"]), required=True)
@click.option("--side", default=64, show_default=True, help="Pixels.")
@click.option("--splits", default=10, show_default=True)
@click.option("--members", default=150, show_default=True)
@click.option("--controls", default=150, show_default=True)
@click.option("--films", "count", default=4, show_default=True, help="Films planted in a split.")
def main(
    data: Path, part: str, side: int, splits: int, members: int, controls: int, count: int
) -> None:
    """Prints one table."""
    torch.set_num_threads(1)
    films = read(data, side)
    drawn = (sides(films, 100 + split, members, controls) for split in range(splits))
    tables: dict[str, Callable[[], Iterator[str]]] = {
        "plants": lambda: plants(drawn, count),
        "many": lambda: many(drawn),
        "releases": lambda: releases(drawn),
        "alarms": lambda: alarms(drawn),
    }
    click.echo(f"{part}: {side} px, {members} members, {controls} controls, {splits} splits\n")
    for line in tables[part]():
        click.echo(line)


Drawn = Iterator[tuple[Films, Films, Films]]


def plants(drawn: Drawn, count: int) -> Iterator[str]:
    """Yields the share of films that A5 finds under each disguise."""
    found: dict[str, list[bool]] = {}
    right: dict[str, list[bool]] = {}
    seconds = [0.0, 0.0]
    for split, (members, controls, others) in enumerate(drawn):
        begun = time.process_time()
        chance(members, controls)
        seconds[0] += time.process_time() - begun
        for name, (images, whose) in disguised(members, others, split, count).items():
            begun = time.process_time()
            named = names(images, members, controls)
            seconds[1] += (time.process_time() - begun) / len(images)
            for p, who, wanted in zip(named.p.tolist(), named.who, whose, strict=True):
                # Five images of nobody come with each, so the correction is at most for six.
                found.setdefault(name, []).append(IMAGES * p <= SURE)
                right.setdefault(name, []).append(who[0] in wanted)
    yield "| disguise | found | right person |\n|---|---|---|"
    for name, one in found.items():
        yield f"| {name} | {np.mean(one):.2f} | {np.mean(right[name]):.2f} |"
    splits = split + 1
    yield ""
    yield (
        f"Processor seconds: {seconds[0] / splits:.1f} for the strangers of a split, "
        f"{seconds[1] / splits / len(found):.3f} an image."
    )


def disguised(
    members: Films, others: Films, split: int, count: int
) -> dict[str, tuple[Tensor, list[set[int]]]]:
    """Returns films under disguises, with the members in them, by name."""
    rng = torch.Generator().manual_seed(split)
    order = torch.randperm(len(members.ids), generator=rng)
    labels = members.labels[members.first]
    who, mixed = [], []
    for i in order[:count].tolist():
        same = [j for j in order.tolist() if j != i and labels[j] == labels[i]]
        who.append(i)
        mixed.append(same[:3])
    film = members.images[members.first[who]]
    second, third, fourth = (
        members.images[members.first[[row[k] for row in mixed]]] for k in range(3)
    )
    everybody = torch.cat([members.images, others.images])
    classes = torch.cat([members.labels, others.labels])
    means = torch.stack([everybody[classes == c].mean(0) for c in (0, 1)])
    mean = means[labels[who]]
    unit = film.shape[-1] // 32
    noise = torch.randn(film.shape, generator=rng)
    rows, columns = torch.meshgrid(*[torch.arange(film.shape[-1]) // unit] * 2, indexing="ij")
    alone, two = [{i} for i in who], [{i, row[0]} for i, row in zip(who, mixed, strict=True)]
    several = [{i, *row} for i, row in zip(who, mixed, strict=True)]
    patch = mean.clone()
    for i in range(count):
        top, left = torch.randint(20 * unit + 1, (2,), generator=rng).tolist()
        inside = (..., slice(top, top + 12 * unit), slice(left, left + 12 * unit))
        patch[i][inside] = film[i][inside]
    half, top_third = mean.clone(), mean.clone()
    half[..., : 16 * unit] = film[..., : 16 * unit]
    top_third[..., : film.shape[-1] // 3, :] = film[..., : film.shape[-1] // 3, :]
    cropped = F.interpolate(film[..., 2 * unit : -2 * unit, 2 * unit : -2 * unit], film.shape[-2:])
    made = {
        "copy": (film, alone),
        **{
            f"copy + noise of {by} of its deviation": (film + by * film.std() * noise, alone)
            for by in (0.25, 0.5)
        },
        "gamma .5": (film**0.5, alone),
        "gamma 2": (film**2, alone),
        "cropped to 28/32": (cropped, alone),
        **{f"turned by {angle}": (moved(film, angle), alone) for angle in (3, 5, 10, 15)},
        "quarter turn": (film.rot90(1, (-2, -1)), alone),
        "upside down": (film.flip(-2), alone),
        "mirrored": (film.flip(-1), alone),
        **{f"scaled by {by:g}": (moved(film, 0, by), alone) for by in (0.9, 1.1, 1.2)},
        "shifted by 2/32": (moved(film, 0, 1, (2 / 32, 0)), alone),
        "shifted by 3/32": (moved(film, 0, 1, (3 / 32, 0)), alone),
        "shifted by 3/32 both ways": (moved(film, 0, 1, (3 / 32, 3 / 32)), alone),
        "negative": (1 - film, alone),
        "left half on a mean": (half, alone),
        "top third on a mean": (top_third, alone),
        "12/32 patch on a mean": (patch, alone),
        "mean + .5 film": (mean + 0.5 * (film - mean), alone),
        "mean + .3 film": (mean + 0.3 * (film - mean), alone),
        "mean + .2 film": (mean + 0.2 * (film - mean), alone),
        "mean + .3 film + noise of .05": (mean + 0.3 * (film - mean) + 0.05 * noise, alone),
        "checkerboard of two": (torch.where((rows + columns) % 2 == 0, film, second), two),
        "lines of two": (torch.where(rows % 2 == 0, film, second), two),
        "mean of two": ((film + second) / 2, two),
        "mean of three": ((film + second + third) / 3, several),
        "mean of four": ((film + second + third + fourth) / 4, several),
        "a stranger's film (false alarm)": (others.images[others.first[:count]], alone),
        "mean of 20 strangers (false alarm)": (strangers_means(others, count, rng), alone),
    }
    return {name: (rounded(images), whose) for name, (images, whose) in made.items()}


def many(drawn: Drawn) -> Iterator[str]:
    """Yields what the audits say of 70 images with a little of one member each."""
    yield "| split | of the film | A5: images | A5b p | A9: named clearly | A9 p | refused |"
    yield "|" + "---|" * 7
    for split, (members, controls, _) in enumerate(drawn):
        rng = torch.Generator().manual_seed(split)
        labels = members.labels[members.first]
        rows = [(labels == c).nonzero().flatten()[:35] for c in (0, 1)]
        chosen = torch.cat(rows)
        film, mean = (
            members.images[members.first[chosen]],
            torch.stack([members.images[members.labels == c].mean(0) for c in (0, 1)])[
                labels[chosen]
            ],
        )
        for share in (0.25, 0.15):
            noise = torch.randn(film.shape, generator=rng)
            images = rounded(mean + share * (film - mean) + 0.05 * noise)
            case = Evidence(
                Release(images, F.one_hot(labels[chosen], 2).float()), members, controls
            )
            found = {name: _found(audit, case) for name, audit in AUDITS.items() if name != "A6"}
            refused = any(one.verdict is Verdict.FAIL for one in found.values())
            yield (
                f"| {split} | {share} | {found['A5'].value:.0f} | {found['A5b'].p:.4f} "
                f"| {found['A9'].value:.0f} | {found['A9'].p:.1e} | {'yes' if refused else 'no'} |"
            )


def releases(drawn: Drawn) -> Iterator[str]:
    """Yields what the audits say of DM from films, by steps, and of honest releases."""
    yield "| split | release | " + " | ".join(AUDITS) + " |\n|---|---|" + "---|" * len(AUDITS)
    for split, (members, controls, _) in enumerate(drawn):
        for start, ipc, stops in (("random", 3, (0, 250, 800, 1200)), ("noise", 3, (300,))):
            for after, images in distilled(members, start, ipc, stops, split):
                labels = F.one_hot(torch.arange(2).repeat_interleave(ipc), 2).float()
                case = Evidence(Release(rounded(images), labels), members, controls)
                cells = [_found(audit, case).verdict.value for audit in AUDITS.values()]
                shown = {"random": "films", "noise": "noise"}[start]
                yield f"| {split} | dm from {shown}, {after} steps | {' | '.join(cells)} |"


def distilled(
    members: Films, start: str, ipc: int, stops: tuple[int, ...], seed: int
) -> Iterator[tuple[int, Tensor]]:
    """Yields the display values that DM has after each of these numbers of steps."""
    rng, side = torch.Generator().manual_seed(seed), members.images.shape[-1]
    x = NORMALIZATION.standardize(members.images)
    network = convnet(2, 1, side, width=16)
    s = begin(STARTS[start], x, members.labels, classes=2, ipc=ipc, rng=rng, network=network)
    real = RealSet(x, members.labels, 2, rng)
    steps = distill(DM(network, batch=64), s, real, steps=max(stops), rng=rng)
    for taken in range(max(stops) + 1):
        if taken in stops:
            yield taken, NORMALIZATION.display(s.images.detach()).clone()
        next(steps, None)


def alarms(drawn: Drawn) -> Iterator[str]:
    """Yields how often releases without any member fail."""
    failed: dict[str, dict[str, int]] = {}
    any_of: dict[str, int] = {}
    for split, (members, controls, others) in enumerate(drawn):
        rng = torch.Generator().manual_seed(split)
        clean = {
            "six means of 20 strangers": strangers_means(others, IMAGES, rng),
            "six films of strangers": others.images[others.first[:IMAGES]],
            "twenty means of 20 strangers": strangers_means(others, 20, rng),
            "six of noise": 0.5
            + 0.2 * torch.randn(IMAGES, *members.images.shape[1:], generator=rng),
        }
        for name, images in clean.items():
            labels = F.one_hot(torch.arange(len(images)) % 2, 2).float()
            case = Evidence(Release(rounded(images), labels), members, controls)
            found = [_found(audit, case).verdict is Verdict.FAIL for audit in AUDITS.values()]
            counts = failed.setdefault(name, dict.fromkeys(AUDITS, 0))
            for audit, one in zip(AUDITS, found, strict=True):
                counts[audit] += one
            any_of[name] = any_of.get(name, 0) + any(found)
    yield f"| nothing leaks, {split + 1} splits | {' | '.join(AUDITS)} | any |"
    yield "|---|" + "---|" * (len(AUDITS) + 1)
    for name, counts in failed.items():
        yield f"| {name} | {' | '.join(map(str, counts.values()))} | {any_of[name]} |"


def _found(audit: Callable[..., object], case: Evidence):  # type: ignore[no-untyped-def]
    return audit(case, load_policy(), torch.Generator().manual_seed(0))


def strangers_means(others: Films, count: int, rng: torch.Generator) -> Tensor:
    """Returns means of 20 films each with weak noise, as matching embeddings comes to."""
    films = others.images[others.first]
    labels = others.labels[others.first]
    made = []
    for i in range(count):
        rows = (labels == i % 2).nonzero().flatten()
        mean = films[rows[torch.randperm(len(rows), generator=rng)[:20]]].mean(0)
        made.append(mean + 0.02 * torch.randn(mean.shape, generator=rng))
    return torch.stack(made)


def moved(
    film: Tensor, degrees: float, scale: float = 1.0, shift: tuple[float, float] = (0, 0)
) -> Tensor:
    """Returns films turned, scaled, and shifted by shares of the side; what comes in is black."""
    angle = math.radians(degrees)
    matrix = torch.tensor(
        [
            [math.cos(angle) / scale, -math.sin(angle) / scale, 2 * shift[0]],
            [math.sin(angle) / scale, math.cos(angle) / scale, 2 * shift[1]],
        ]
    )
    grid = F.affine_grid(matrix.expand(len(film), 2, 3), list(film.shape), align_corners=False)
    return F.grid_sample(film, grid, align_corners=False)


def rounded(images: Tensor) -> Tensor:
    """Returns images as they may leave, in 8 bits."""
    return (images.clamp(0, 1) * 255).round() / 255


def read(path: Path, side: int) -> Films:
    """Returns the films, known duplicates left out."""
    with np.load(path) as held:
        keep = held["duplicate_of"] < 0 if "duplicate_of" in held else slice(None)
        pixels = torch.from_numpy(held["images"][keep]).float().unsqueeze(1) / 255
        labels = torch.from_numpy(held["labels"][keep].astype(np.int64))
        patients = held["patient_ids"][keep].tolist()
    return Films(F.adaptive_avg_pool2d(pixels, side), labels, patients)


def sides(films: Films, seed: int, members: int, controls: int) -> tuple[Films, Films, Films]:
    """Returns the films of members, of controls and of everybody else."""
    ids = np.random.default_rng(seed).permutation(sorted(films.ids)).tolist()
    cuts = ids[:members], ids[members : members + controls], ids[members + controls :]
    inside, outside, others = (films.of(set(part)) for part in cuts)
    return inside, outside, others


if __name__ == "__main__":
    main()
