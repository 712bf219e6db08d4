"""Scores films with a classifier: a table of probabilities and, where labels are known, the AUC.

train.py and own.py use it for --films and --labels. Needs torch and safetensors, nothing else.

If films were cut, each patch votes for its most probable class, and a film has the shares of the
votes in place of probabilities. Only classes that films have count; other patches have no vote.
"""

import csv
import json
import sys
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open


def add_options(options, *, required=False):
    """Adds the options that both programs have."""
    options.add_argument("--films", required=required, help="the file that prepare.py writes")
    options.add_argument("--labels", help="table (.csv) with the columns file and label")
    options.add_argument("--probabilities", default="probabilities.csv", help="table to write")
    options.add_argument(
        "--threshold",
        type=float,
        help="share of votes above which a film that is cut is called positive; 0.5 if not given",
    )
    options.add_argument("--seed", type=int, default=0)


def run(main):
    """Runs a program; what is wrong with its input is one line."""
    try:
        main()
    except (OSError, ValueError) as fault:
        sys.exit(" ".join(str(fault).split()))


def judge(made, data, given):
    """Writes the table of probabilities and says the AUC, if there are labels.

    Args:
        made: returns a function from films (n, C, H, W) to probabilities (n, K); called once films
            and labels are read, because it may train for long.
        data: the synthetic images, of loader.py.
        given: the options.
    """
    films, names, film = read_films(given.films, data)
    classes = voting(data)
    at = threshold(given.threshold, data)
    labels = None if given.labels is None else read_labels(given.labels, names, classes)
    found = made()(films)
    if not found.isfinite().all():
        raise ValueError("the training came to no numbers; try another --seed, or own.py")
    if film is not None:
        found = votes(found, film, [data.facts["classes"].index(name) for name in classes])
    with Path(given.probabilities).open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["file", *classes, *(["class"] if film is not None else [])])
        for name, row in zip(names, found.tolist(), strict=True):
            called = [] if film is None else [classes[call(row, at)]]
            table.writerow([name, *(f"{one:.6f}" for one in row), *called])
    sys.stdout.write(f"{given.probabilities}: {len(names)} films\n")
    if labels is not None:
        sys.stdout.write(f"AUC {auc(found, labels):.3f}\n")


def voting(data):
    """Returns the classes that films have; of films that are cut, patches may have others."""
    return data.facts.get("film classes", data.facts["classes"])


def threshold(given, data):
    """Returns the share of votes above which a film is positive."""
    if given is None:
        return 0.5
    if "film classes" not in data.facts or len(voting(data)) != 2:
        raise ValueError("--threshold is for films that are cut, with two classes; leave it out")
    if not 0 < given < 1:
        raise ValueError("--threshold must be between 0 and 1")
    return given


def votes(probabilities, film, counted):
    """Returns the share of each class of ``counted`` among a film's patches, (films, counted).

    A film all of whose patches look like background is not positive.

    Args:
        probabilities: of the patches, (n, K).
        film: the film of each patch, (n,).
        counted: classes that have a vote.
    """
    voted = torch.nn.functional.one_hot(probabilities.argmax(1), probabilities.shape[1])
    sums = torch.zeros(int(film.max()) + 1, probabilities.shape[1], dtype=torch.float64)
    sums = sums.index_add(0, film, voted.double())[:, counted]
    nobody = [1.0, 0.0] if len(counted) == 2 else [1 / len(counted)] * len(counted)
    total = sums.sum(1, keepdim=True)
    return torch.where(total > 0, sums / total.clamp(min=1), torch.tensor(nobody).double())


def call(shares, at):
    """Returns the number of the class that a film with these shares of votes is called."""
    return int(shares[1] > at) if len(shares) == 2 else shares.index(max(shares))


def read_films(path, data):
    """Returns films (n, C, H, W), standardised as the synthetic images, their names, and None.

    If films were cut, it returns patches, the names of their films, and the film of each, (n,).
    """
    again = "make it with prepare.py"
    try:
        with safe_open(path, "pt") as file:
            films = file.get_tensor("films").float()
            names = [str(name) for name in json.loads(file.metadata()["names"])]
            film = file.get_tensor("film").long() if "film" in file.keys() else None  # noqa: SIM118
    except (SafetensorError, ValueError, KeyError, TypeError):
        raise ValueError(f"{path}: holds no 'films' with their 'names'; {again}") from None
    cut = "film classes" in data.facts
    if cut == (film is None):
        held, wanted = ("whole films", "of patches") if cut else ("patches", "of whole films")
        raise ValueError(f"{path}: holds {held}, but the images are {wanted}; {again}")
    each = torch.arange(len(names))
    of = each if film is None else film
    if not names or of.shape != films.shape[:1] or not of.unique().equal(each):
        held = "patches" if cut else "films"
        raise ValueError(f"{path}: {len(films)} {held} and {len(names)} names; {again}")
    if films.shape[1:] != data.images.shape[1:]:
        there, wanted = (" x ".join(map(str, of.shape[1:])) for of in (films, data.images))
        raise ValueError(f"{path}: films of {there}, but the images are {wanted}; {again}")
    scale = data.facts["normalization"]
    low, high = ((end - scale["mean"]) / scale["std"] for end in (0, 1))
    least, greatest = films.min().item(), films.max().item()
    # Every film has dark parts. If no value is negative, they are display values.
    if not (low - 0.01 <= least < 0 and greatest <= high + 0.01):
        raise ValueError(
            f"{path}: not standardised: values from {least:.3g} to {greatest:.3g}, which should "
            f"lie between {low:g} and {high:g} and on both sides of 0; {again}"
        )
    return films, names, film


def read_labels(path, names, classes):
    """Returns the class of each film, (n,), from a table with the columns file and label."""
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (UnicodeDecodeError, csv.Error):
        raise ValueError(f"{path}: not a table; save it as CSV in UTF-8") from None
    if not rows or not {"file", "label"} <= rows[0].keys():
        raise ValueError(f"{path}: needs the columns file and label, and a row for each film")
    label_of = {}
    for number, row in enumerate(rows, start=1):
        if row["label"] not in classes:
            known = ", ".join(classes)
            raise ValueError(f"{path}: row {number}: the label is none of {known}; correct it")
        if label_of.setdefault(row["file"], row["label"]) != row["label"]:
            raise ValueError(f"{path}: row {number}: the file has another label above; remove one")
    missing = sum(name not in label_of for name in names)
    if missing:
        raise ValueError(
            f"{path}: no row for {missing} of {len(names)} films; add them, each file by its path "
            "in the folder of films"
        )
    return torch.tensor([classes.index(label_of[name]) for name in names])


def auc(probabilities, labels):
    """Returns the area under the ROC curve, where ties count half.

    With two classes the second is the positive one. With more, each is judged against the rest,
    and the mean is returned.
    """
    classes, areas = probabilities.shape[1], []
    for label in [1] if classes == 2 else range(classes):
        scores, positive = probabilities[:, label].double(), labels == label
        up, down = scores[positive], scores[~positive].sort().values
        if not len(up) or not len(down):
            raise ValueError("no AUC: the films must be of every class; take more")
        below = torch.searchsorted(down, up) + torch.searchsorted(down, up, right=True)
        areas.append(below.double().mean().item() / (2 * len(down)))
    return sum(areas) / len(areas)
