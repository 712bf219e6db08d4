"""What the searches for copies (A5, A5b, A5c, A6) find and what they take for one, in Markdown.

    python benchmarks/copies.py --data FOLDER

FOLDER holds ``kermany_pneumonia_128_dev.npz`` and ``nih_pneumonia_224_dev.npz``: ``images``
(n, H, W) uint8, ``labels``, ``patient_ids`` and, for the first, ``duplicate_of``, the row of an
earlier near-identical film or -1. The encoder of A5c is a stand-in, a low-passed film: it
recognises copies, not people.
"""

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
from privacy import Evidence, Films, Finding, Release, Verdict, load_policy
from privacy.attacks.nearest import COPY, DOUBTFUL, closeness, copies, to_patients
from privacy.attacks.same_patient import same_patient
from privacy.attacks.set_test import set_test
from privacy.attacks.unmixing import shares, unmixing
from privacy.attacks.views import blur, standardise

KERMANY, NIH = "kermany_pneumonia_128_dev", "nih_pneumonia_224_dev"
MEMBERS, CONTROLS = 300, 150
IMAGES = 6
WIDTH, BATCH = 16, 64


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--splits", default=100, show_default=True, help="For the false alarms.")
@click.option("--part", "parts", multiple=True, help="Only these tables; by default all.")
def main(data: Path, splits: int, parts: tuple[str, ...]) -> None:
    """Prints all tables."""
    torch.set_num_threads(1)
    tables: dict[str, Callable[[], Iterator[str]]] = {
        "releases": lambda: releases(data),
        "alarms": lambda: alarms(data, splits),
        "larger": lambda: larger(data),
        "twins": lambda: twins(data),
    }
    for name in parts or tables:
        for line in tables[name]():
            click.echo(line)
        click.echo()


def releases(data: Path) -> Iterator[str]:
    """Yields what each audit says of each release."""
    policy, films = load_policy(), read(data / f"{KERMANY}.npz", 64)
    members, controls, strangers = sides(films, 0, MEMBERS, CONTROLS)
    yield "| release, 64 px | A5 ratio | A5b p | A6 share (R2) | A5c linked |"
    yield "|---|---|---|---|---|"
    for name, images in made(members, strangers):
        case = evidence(images, members, controls)
        found = [
            audit(case, policy, torch.Generator().manual_seed(0))
            for audit in (copies, set_test, unmixing, same_patient)
        ]
        mixed = shares(case)
        least, most = mixed.top[:, 0].aminmax()
        fit = float(mixed.explained.min())
        cells = [
            f"{found[0].value:.2f}",
            f"{found[1].p:.4f}",
            f"{float(least):.2f} to {float(most):.2f} ({fit:.2f})",
            f"{found[3].value:.0f} of {len(images)}",
        ]
        marked = [_marked(cell, one) for cell, one in zip(cells, found, strict=True)]
        yield f"| {name} | {' | '.join(marked)} |"


def made(members: Films, strangers: Films) -> Iterator[tuple[str, Tensor]]:
    """Yields releases by name, from what is a leak to what is none."""
    rng = torch.Generator().manual_seed(0)
    films = members.images[members.first][torch.randperm(MEMBERS, generator=rng)]
    six, std = films[:IMAGES], float(films.std())

    def noisy(share: float) -> Tensor:
        return six + share * std * torch.randn(six.shape, generator=rng)

    yield "six films of members", six
    yield "mirrored, shifted by 2 px", six.flip(-1).roll((2, -2), (-2, -1))
    yield "contrast .5 x + .3", 0.5 * six + 0.3
    for share in (0.5, 1.0, 2.0):
        yield f"noise of {share:g} standard deviations", noisy(share)
    yield "mixtures .7/.3 of two", 0.7 * six + 0.3 * films[6:12]
    yield "mixtures .5/.5 of two", 0.5 * six + 0.5 * films[6:12]
    yield "means of 5", means(films[:30], 5)
    yield "means of 11", means(films[:66], 11)
    yield "class means", torch.stack([members.images[members.labels == c].mean(0) for c in (0, 1)])
    yield "six films of strangers", strangers.images[strangers.first][:IMAGES]
    yield "noise", torch.randn(six.shape, generator=rng)
    for start, ipc, steps in (
        ("random", 3, (0, 50, 250)),
        ("noise", 1, (250,)),
        ("noise", 3, (250,)),
        ("noise", 10, (250,)),
    ):
        for after, images in distilled(members, start, ipc, steps):
            shown = {"random": "films", "noise": "noise"}[start]
            yield f"dm from {shown}, ipc {ipc}, {after} steps", images


def distilled(
    members: Films, start: str, ipc: int, stops: tuple[int, ...]
) -> Iterator[tuple[int, Tensor]]:
    """Yields the images that DM has after each of these numbers of steps."""
    rng, side = torch.Generator().manual_seed(1), members.images.shape[-1]
    network = convnet(2, 1, side, width=WIDTH)
    s = begin(
        STARTS[start], members.images, members.labels, classes=2, ipc=ipc, rng=rng, network=network
    )
    real = RealSet(members.images, members.labels, 2, rng)
    steps = distill(DM(network, batch=BATCH), s, real, steps=max(stops), rng=rng)
    for taken in range(max(stops) + 1):
        if taken in stops:
            yield taken, s.images.detach().clone()
        next(steps, None)


def alarms(data: Path, splits: int) -> Iterator[str]:
    """Yields how often releases that leak nothing fail, over fresh splits of the patients."""
    policy, films = load_policy(), read(data / f"{KERMANY}.npz", 32)
    audits = {"A5b": set_test, "A6": unmixing, "A5c": same_patient}
    failed: dict[str, list[int]] = {}
    for seed in range(splits):
        members, controls, strangers = sides(films, 100 + seed, CONTROLS, CONTROLS)
        for name, images in clean(strangers, seed).items():
            case = evidence(images, members, controls)
            counts = failed.setdefault(name, [0] * len(audits))
            for i, audit in enumerate(audits.values()):
                finding = audit(case, policy, torch.Generator().manual_seed(seed))
                counts[i] += finding.verdict is Verdict.FAIL
    yield f"| nothing leaks, 32 px, {splits} splits | {' | '.join(audits)} |"
    yield "|---|---|---|---|"
    for name, counts in failed.items():
        yield f"| {name} | {' | '.join(map(str, counts))} |"


def clean(strangers: Films, seed: int) -> dict[str, Tensor]:
    """Returns releases made without any member or control."""
    rng = torch.Generator().manual_seed(seed)
    films = strangers.images[strangers.first]
    films = films[torch.randperm(len(films), generator=rng)]
    return {
        "six films": films[:IMAGES],
        "twenty films": films[:20],
        "six means of 12": means(films[:72], 12),
        "six of noise": torch.randn(films[:IMAGES].shape, generator=rng),
    }


def larger(data: Path) -> Iterator[str]:
    """Yields how many copies A5 finds in large films, and how many strangers it suspects."""
    yield f"| 40 films against 200 patients | side | below {COPY} | below {DOUBTFUL} |"
    yield "|---|---|---|---|"
    for name, side in ((KERMANY, 128), (NIH, 224)):
        members, controls, _ = sides(read(data / f"{name}.npz", side), 0, 200, 150)
        films = members.images[members.first][:40]
        noise = torch.randn(films.shape, generator=torch.Generator().manual_seed(0))
        mixed = films[:20], films[20:]
        shift = side // 32
        planted = {
            "copies": films,
            f"mirrored, shifted by {shift} px": films.flip(-1).roll((shift, -shift), (-2, -1)),
            f"shifted by {2 * shift} px": films.roll((2 * shift, 0), (-2, -1)),
            "contrast .5 x + .3": 0.5 * films + 0.3,
            "noise of 1 standard deviation": films + films.std() * noise,
            "noise of 4 standard deviations": films + 4 * films.std() * noise,
            "mixtures .7/.3": 0.7 * mixed[0] + 0.3 * mixed[1],
            "mixtures .5/.5": 0.5 * mixed[0] + 0.5 * mixed[1],
            f"{len(controls.ids)} films of strangers": controls.images[controls.first],
        }
        for what, images in planted.items():
            ratio = closeness(images, members).ratio.amin(1)
            found = (f"{float((ratio < limit).float().mean()):.1%}" for limit in (COPY, DOUBTFUL))
            yield f"| {what} | {side} | {' | '.join(found)} |"


def twins(data: Path) -> Iterator[str]:
    """Yields what A5 sees of a film that two members share, nearly: the set's own duplicates."""
    films = read(data / f"{KERMANY}.npz", 64, duplicates=True)
    with np.load(data / f"{KERMANY}.npz") as held:
        earlier = torch.from_numpy(held["duplicate_of"].astype(np.int64))
    later = (earlier >= 0).nonzero().flatten()
    shared = films.at([*earlier[later].tolist(), *later.tolist()])
    named = Films(shared.images, shared.labels, [f"twin {i}" for i in range(len(shared))])
    others, *_ = sides(read(data / f"{KERMANY}.npz", 64), 0, MEMBERS, 1)
    taken = set(shared.patients)
    members = named.beside(others.of(set(others.ids) - taken))
    copied = shared.images[: len(later)]
    noise = torch.randn(copied.shape, generator=torch.Generator().manual_seed(0))
    yield f"| {len(later)} films of two members each | first gap below {COPY} | widest of three |"
    yield "|---|---|---|"
    for name, images in {
        "copies": copied,
        "noise of .5 standard deviations": copied + 0.5 * copied.std() * noise,
        "noise of 1 standard deviation": copied + copied.std() * noise,
    }.items():
        near = to_patients(images, members).sort(-1).values
        first = (near[..., 0] / near[..., 1].clamp_min(1e-9)).amin(1)
        widest = closeness(images, members).ratio.amin(1)
        found = (f"{float((ratio < COPY).float().mean()):.0%}" for ratio in (first, widest))
        yield f"| {name} | {' | '.join(found)} |"


def evidence(images: Tensor, members: Films, controls: Films) -> Evidence:
    """Returns the evidence about these images, with the stand-in encoder."""
    labels = F.one_hot(torch.arange(len(images)) % 2, 2).float()
    return Evidence(Release(images, labels), members, controls, encoder=coarse)


def coarse(images: Tensor) -> Tensor:
    """Returns low-passed films of 32 px as vectors."""
    return standardise(blur(F.adaptive_avg_pool2d(images, 32), 1.0)).flatten(1)


def means(films: Tensor, of: int) -> Tensor:
    """Returns the means of consecutive films (n, C, H, W), ``of`` at a time."""
    return films.unflatten(0, (-1, of)).mean(1)


def read(file: Path, side: int, *, duplicates: bool = False) -> Films:
    """Returns standardised films, near-identical ones left out unless asked for."""
    with np.load(file) as held:
        keep = np.ones(len(held["labels"]), dtype=bool)
        if "duplicate_of" in held and not duplicates:
            keep = held["duplicate_of"] < 0
        pixels = torch.from_numpy(held["images"][keep]).float().unsqueeze(1) / 255
        labels = torch.from_numpy(held["labels"][keep].astype(np.int64))
        patients = held["patient_ids"][keep].tolist()
    small = F.interpolate(pixels, size=(side, side), mode="bilinear", antialias=True)
    return Films(NORMALIZATION.standardize(small), labels, patients)


def sides(films: Films, seed: int, members: int, controls: int) -> tuple[Films, Films, Films]:
    """Returns the films of members, of controls and of everybody else."""
    ids = np.random.default_rng(seed).permutation(sorted(films.ids)).tolist()
    cuts = ids[:members], ids[members : members + controls], ids[members + controls :]
    return tuple(films.of(set(part)) for part in cuts)  # type: ignore[return-value]


def _marked(cell: str, finding: Finding) -> str:
    return f"**{cell}**" if finding.verdict is Verdict.FAIL else cell


if __name__ == "__main__":
    main()
