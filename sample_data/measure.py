"""Measures how hard the sample data are, and how well a patient is recognised in them.

All folds keep a patient's films together. Prints the figures that the README states.
"""

import csv
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray
from pydicom import dcmread
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold
from torch import nn

Array = NDArray[np.float64]
Scorer = Callable[[Array, NDArray[np.int_], Array], Array]
HERE = Path(__file__).resolve().parent


def display(path: Path) -> Array:
    """Returns the film as a viewer shows it, (96, 96), 0 .. 1; PS3.3 C.11.2.1.2.1."""
    ds = dcmread(path)
    centre, width = float(ds.WindowCenter), float(ds.WindowWidth)
    shown = np.clip((ds.pixel_array - (centre - 0.5)) / (width - 1) + 0.5, 0, 1)
    return np.asarray(1 - shown if ds.PhotometricInterpretation == "MONOCHROME1" else shown)


def load(root: Path) -> tuple[Array, NDArray[np.int_], NDArray[np.int_]]:
    """Returns films, (n, 96, 96), labels, (n,), and patients, (n,)."""
    with (root / "labels.csv").open() as file:
        labels = {row["StudyInstanceUID"]: row["label"] for row in csv.DictReader(file)}
    films, ill, patients = [], [], []
    for path in sorted(root.glob("studies/*/*/*.dcm")):
        ds = dcmread(path, stop_before_pixels=True)
        films.append(display(path))
        ill.append(labels[ds.StudyInstanceUID] == "pneumonia")
        patients.append(int(path.parts[-3]))
    return np.array(films), np.array(ill, dtype=int), np.array(patients)


def shrink(films: Array, side: int) -> Array:
    """Averages films down to (n, side, side)."""
    step = films.shape[1] // side
    return np.asarray(films.reshape(len(films), side, step, side, step).mean(axis=(2, 4)))


def standardise(films: Array) -> Array:
    """Gives each film mean 0 and standard deviation 1 and flattens it, (n, pixels)."""
    flat = films.reshape(len(films), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    return np.asarray(flat / flat.std(axis=1, keepdims=True))


def logistic(train: Array, labels: NDArray[np.int_], test: Array) -> Array:
    """Scores by a ridge-penalised logistic regression."""
    model = LogisticRegression(C=0.1, max_iter=2000).fit(standardise(train), labels)
    return np.asarray(model.decision_function(standardise(test)))


def convnet(train: Array, labels: NDArray[np.int_], test: Array) -> Array:
    """Scores by a ConvNet of three blocks with 32 channels, trained with shifts of 2 pixels."""
    torch.manual_seed(0)
    blocks: list[nn.Module] = []
    for channels in (1, 32, 32):
        blocks += [nn.Conv2d(channels, 32, 3, padding=1), nn.InstanceNorm2d(32, affine=True)]
        blocks += [nn.ReLU(), nn.AvgPool2d(2)]
    side = train.shape[1]
    model = nn.Sequential(*blocks, nn.Flatten(), nn.Linear(32 * (side // 8) ** 2, 1))

    def tensor(films: Array) -> torch.Tensor:
        return torch.tensor(standardise(films), dtype=torch.float32).view(-1, 1, side, side)

    x, y = tensor(train), torch.tensor(labels, dtype=torch.float32)
    epochs = 40
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).split(32):
            down, right = torch.randint(-2, 3, (2,)).tolist()
            moved = x[batch].roll((down, right), (2, 3))
            optimizer.zero_grad()
            loss = nn.functional.binary_cross_entropy_with_logits(model(moved)[:, 0], y[batch])
            loss.backward()
            optimizer.step()
        schedule.step()
    with torch.no_grad():
        return np.asarray(model(tensor(test))[:, 0].double().numpy())


def folds(
    score: Scorer, films: Array, ill: NDArray[np.int_], patients: NDArray[np.int_]
) -> list[float]:
    """Returns the AUC in each of five folds of patients."""
    split = StratifiedGroupKFold(5, shuffle=True, random_state=0).split(films, ill, patients)
    return [
        float(roc_auc_score(ill[test], score(films[train], ill[train], films[test])))
        for train, test in split
    ]


def few(
    shots: int, films: Array, ill: NDArray[np.int_], patients: NDArray[np.int_], draws: int = 100
) -> list[float]:
    """Returns AUCs on the other patients after training on ``shots`` random films per class."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(draws):
        chosen = [rng.choice(np.flatnonzero(ill == c), shots, replace=False) for c in (0, 1)]
        train = np.concatenate(chosen)
        test = ~np.isin(patients, patients[train])
        scores = logistic(films[train], ill[train], films[test])
        found.append(float(roc_auc_score(ill[test], scores)))
    return found


def neighbours(films: Array, patients: NDArray[np.int_]) -> tuple[float, float]:
    """Returns rank-1 retrieval of the same patient, and how alike the nearest others are.

    The second is the median over films of d(nearest other patient) / d(second nearest one).
    """
    flat = standardise(films)
    square = (flat**2).sum(axis=1)
    distance = np.sqrt(np.maximum(square[:, None] + square - 2 * flat @ flat.T, 0))
    np.fill_diagonal(distance, np.inf)
    same = patients[:, None] == patients
    several = same.sum(axis=1) > 1
    rank1 = (patients[distance.argmin(axis=1)] == patients)[several].mean()
    ratios = []
    for row, own in zip(distance, patients, strict=True):
        nearest = np.sort([row[patients == other].min() for other in set(patients) - {own}])
        ratios.append(nearest[0] / nearest[1])
    return float(rank1), float(np.median(ratios))


@click.command()
@click.option("--root", type=click.Path(exists=True, path_type=Path), default=HERE)
def main(root: Path) -> None:
    """Print the figures of the sample data."""
    torch.set_num_threads(1)
    films, ill, patients = load(root)
    small = shrink(films, 32)
    click.echo(f"{len(films)} films of {len(set(patients))} patients, {ill.mean():.3f} ill")
    for name, found in (
        ("logistic, 32 x 32", folds(logistic, small, ill, patients)),
        ("ConvNet, 48 x 48", folds(convnet, shrink(films, 48), ill, patients)),
        ("logistic, 3 films per class", few(3, small, ill, patients)),
        ("logistic, 10 films per class", few(10, small, ill, patients)),
    ):
        click.echo(f"{name}: AUC {np.mean(found):.3f} (sd {np.std(found):.3f})")
    rank1, ratio = neighbours(small, patients)
    click.echo(f"rank-1 retrieval {rank1:.3f}, nearest / second nearest other {ratio:.3f}")


if __name__ == "__main__":
    main()
