"""Invented radiographs: smooth random fields, a bright patch where class 1 has its finding."""

import json
from collections.abc import Callable, Mapping
from hashlib import sha256

import torch
from safetensors.torch import load, save
from torch import Tensor
from torch.nn import functional as F

from privacy import Evidence, Films, Fit, Release
from privacy.attacks.views import blur
from privacy.evidence import Explained, Match

SIDE = 32


def radiographs(n: int, labels: Tensor, rng: torch.Generator) -> Tensor:
    """Returns (n, 1, 32, 32) in [0, 1]: one anatomy for all, smooth differences, fine detail."""
    anatomy = blur(torch.randn(1, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(1)), 4)
    coarse = blur(torch.randn(n, 1, SIDE, SIDE, generator=rng), 2)
    fine = torch.randn(n, 1, SIDE, SIDE, generator=rng)
    patch = torch.zeros(1, 1, SIDE, SIDE)
    patch[..., 18:26, 6:14] = 1
    images = 3 * anatomy + coarse + 0.2 * fine + 0.2 * labels.view(-1, 1, 1, 1) * patch
    return (0.5 + 0.5 * images).clamp(0, 1)


def cohort(patients: int, rng: torch.Generator, prefix: str = "P", extra: int = 0) -> Films:
    """Returns films of that many patients, half of class 1; ``extra`` have a second film."""
    labels = torch.arange(patients) % 2
    images = radiographs(patients, labels, rng)
    second = (
        images[:extra] + 0.05 * blur(torch.randn(images[:extra].shape, generator=rng), 1)
    ).clamp(0, 1)
    ids = [f"{prefix}{i:04d}" for i in range(patients)]
    return Films(
        torch.cat([images, second]), torch.cat([labels, labels[:extra]]), ids + ids[:extra]
    )


def labelled(images: Tensor) -> Release:
    """Returns a release of these images whose labels alternate."""
    return Release(images, F.one_hot(torch.arange(len(images)) % 2, 2).float())


def noise(m: int, rng: torch.Generator) -> Release:
    return labelled(torch.randn(m, 1, SIDE, SIDE, generator=rng) * 0.2 + 0.5)


def mlp(seed: int, epochs: int = 100) -> Fit:
    """Returns a recipient who trains a small network on films and mirror images, or not at all."""

    def fit(release: Release) -> Callable[[Tensor], Tensor]:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            net = torch.nn.Sequential(
                torch.nn.Flatten(),
                torch.nn.Linear(release.images[0].numel(), 128),
                torch.nn.ReLU(),
                torch.nn.Linear(128, release.classes),
            )
        images = _centred(torch.cat([release.images, release.images.flip(-1)]))
        labels = release.labels.repeat(2, 1)
        optimizer = torch.optim.Adam(net.parameters(), 3e-3)
        for _ in range(epochs):
            optimizer.zero_grad()
            log_p = net(images).log_softmax(1)
            (-(labels * log_p).sum(1).mean()).backward()
            optimizer.step()
        return lambda images: net(_centred(images)).log_softmax(1)

    return fit


def _centred(images: Tensor) -> Tensor:
    return (images - 0.5) / 0.25


def quantized(release: Release) -> Release:
    """Returns the release as it may leave, in 8-bit levels and hundredths."""
    images = (release.images.clamp(0, 1) * 255).round() / 255
    return Release(images, (release.labels * 100).round() / 100)


def projection(seed: int, features: int = 256) -> Match:
    """Returns a random layer, which is what a method like DM matches."""
    weights = torch.randn(SIDE * SIDE, features, generator=torch.Generator().manual_seed(seed))

    def statistic(images: Tensor, labels: Tensor) -> Tensor:  # noqa: ARG001
        return (_centred(images).flatten(1) @ weights / SIDE).relu()

    return lambda _: statistic


def models(known: Films, scores: Mapping[Release, Tensor]) -> Explained:
    """Returns models of which it is known how well each explains each film, (n,)."""

    def explained(release: Release) -> Callable[[Tensor, Tensor], Tensor]:
        def explain(images: Tensor, labels: Tensor) -> Tensor:  # noqa: ARG001
            far = torch.cdist(images.flatten(1), known.images.flatten(1))
            return scores[release][far.argmin(1)]

        return explain

    return explained


def encode(release: Release) -> dict[str, bytes]:
    tensors = {"images": release.images.contiguous(), "labels": release.labels.contiguous()}
    return {
        "synthetic.safetensors": save(tensors),
        "manifest.json": json.dumps({"ipc": 1}).encode(),
    }


def decode(outgoing: Mapping[str, bytes]) -> Release:
    tensors = load(outgoing["synthetic.safetensors"])
    return Release(tensors["images"], tensors["labels"])


def evidence(release: Release, members: Films, controls: Films, **other: object) -> Evidence:
    """Returns complete evidence in which nothing but the given is wrong."""
    outgoing = encode(release)
    complete: dict[str, object] = {
        "start": "noise",
        "outgoing": outgoing,
        "manifest": {name: sha256(data).hexdigest() for name, data in outgoing.items()},
        "decode": decode,
        "is_identifier": {*members.ids, *controls.ids}.__contains__,
        "fits": [mlp(0, epochs=20)],
        "matches": [projection(seed) for seed in range(3)],
        "unit": "patient",
        "constants": {"mean": True},
        "earlier": (),
    }
    return Evidence(release, members, controls, **(complete | other))  # type: ignore[arg-type]
