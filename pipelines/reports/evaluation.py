"""What ``medidd evaluate`` and ``medidd distill`` print of how well sets train networks.

Every table fits 80 columns.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pipelines.reports.report import ROWS
from pipelines.run.progress import Answer
from pipelines.run.store import Json

_LABELS = {"hard": "hard labels", "released": "the labels of the release"}


@dataclass(frozen=True)
class Found:
    """What an evaluation found.

    Attributes:
        tables: "metrics" of each row by architecture, and "elsewhere" those on other films.
        rankings: comparisons under equal conditions, by architecture.
        facts: of the release.
        patients: test patients of the run.
        there: about the other films; None without such.
    """

    tables: Mapping[str, Json]
    rankings: Mapping[str, Json]
    facts: Json
    patients: int
    there: Json | None = None


def answer(found: Found) -> Answer:
    """Returns the evaluation for people, and for scripts."""
    names = list(found.tables)
    if found.there is not None:
        lines = [*_beside(found.tables), "", *_elsewhere(found.there, found.patients)]
    elif len(names) == 1:
        lines = [names[0], *table(found.tables[names[0]]["metrics"])]
    else:
        lines = _by_network({name: one["metrics"] for name, one in found.tables.items()})
    for name, ranking in found.rankings.items():
        lines += ["", *_ranked(name, ranking, private=found.facts["guarantee"] is not None)]
    value = {
        "networks": {
            name: {**one, **({"ranking": found.rankings[name]} if found.rankings else {})}
            for name, one in found.tables.items()
        },
        "elsewhere": found.there,
    }
    return Answer(lines, value)


def table(metrics: Json) -> list[str]:
    """Returns the rows of the metrics of one architecture, aligned."""
    lines = [f"{'trained on':<24} {_HEAD}"]
    return [
        *lines,
        *(f"{ROWS[row]:<24} {_figures(metrics[row])}" for row in ROWS if row in metrics),
    ]


_HEAD = f"{'AUC':>5}  {'95 % interval':<14}  {'of mean':>7}  {'hm':>5}"


def _figures(metrics: Json) -> str:
    auc, together, hm = (metrics[of] for of in ("auc", "auc_of_mean", "hm"))
    interval = f"{auc['low']:.3f} to {auc['high']:.3f}"
    return f"{auc['mean']:.3f}  {interval:<14}  {together['mean']:>7.3f}  {hm['mean']:.3f}"


def _rows(tables: Mapping[str, Json]) -> Iterator[tuple[str, str, str]]:
    """Yields row, architecture and what is printed of both, sorted by row."""
    for row, text in ROWS.items():
        for name, metrics in tables.items():
            if row in metrics:
                yield row, name, f"{text:<24} {'its own' if row == 'own' else name:<11}"


def _by_network(tables: Mapping[str, Json]) -> list[str]:
    lines = [f"{'trained on':<24} {'network':<11} {_HEAD}"]
    lines += [f"{said} {_figures(tables[name][row])}" for row, name, said in _rows(tables)]
    return [*lines, *_own(tables)]


def _own(tables: Mapping[str, Json]) -> list[str]:
    if not any("own" in metrics for metrics in tables.values()):
        return []
    return [
        "ordinary training is in the other rows; the method's own classifier is the same whatever "
        "network is named"
    ]


def _beside(tables: Mapping[str, Json]) -> list[str]:
    here = {name: one["metrics"] for name, one in tables.items()}
    lines = [f"{'AUC (95 % interval)':<24} {'network':<11} {'here':<19}  elsewhere"]
    for row, name, said in _rows(here):
        both = (here[name][row]["auc"], tables[name]["elsewhere"][row]["auc"])
        lines.append(f"{said} {'  '.join(map(_short, both))}")
    return [*lines, *_own(here)]


def _elsewhere(there: Json, patients: int) -> list[str]:
    lines = [
        f"here: {patients} test patients of the run; elsewhere: {there['patients']} patients with "
        f"{there['films']} films, cohort {there['cohort']}"
    ]
    if there["members left out"]:
        lines.append(
            f"{there['members left out']} patients elsewhere are left out: the run learned from "
            "them, by identifier or by equal films"
        )
    return [*lines, *there["warnings"]]


def _ranked(name: str, ranking: Json, *, private: bool) -> list[str]:
    settings, scores = ranking["settings"], ranking["scores"]
    count = ranking["teachers"]
    teachers = f"labels of {count} teacher{'s' if count > 1 else ''}"
    called, each = {**_LABELS, "soft": teachers}, ranking["images per class"]
    lines = [
        f"{name}: balanced accuracy (AUC), {each} image{'s' if each > 1 else ''} per class",
        f"{'':<24} {_LABELS['hard']:<24}  {teachers}",
        f"{'trained on':<24} {'augmented':<11}  {'plain':<11}  {'augmented':<11}  plain",
    ]
    for row, text in ROWS.items():
        if f"{row}-hard-plain" in settings:
            lines.append(f"{text:<24} {_four(settings, row, ('hard', 'soft'))}")
        if f"{row}-released-plain" in settings:
            lines.append(
                f"{'  with its own labels':<24} {'':<26}{_four(settings, row, ('released',))}"
            )
    lines += [f"{ROWS['full']:<24} {_pair(ranking['full'])}", ""]
    lines.append(f"{'labels':<24}  {'label-robust score':<19}  augmentation-robust score")
    for labels, of in scores.items():
        lines.append(f"{called[labels]:<24}  {_short(of['LRS'])}  {_short(of['ARS'])}")
    lines += ["both scores are 0.27 where nothing is gained; more is better (docs/evaluate.md)", ""]
    lines += _verdicts(ranking["against"], called)
    if private:
        lines.append(
            "no guarantee covers the teachers, who learned from the films, nor the baselines that "
            "show films: they serve this comparison alone and are not released"
        )
    return lines


def _verdicts(against: Json, called: Mapping[str, str]) -> Iterator[str]:
    """Yields what the release is worth beside random films, and every baseline it does not beat."""
    for of in against:
        own, other = of["release"], of["baseline"]
        low, high = (of["difference"][end] for end in ("low", "high"))
        beside = f"{own:.3f} against {other:.3f}"
        labels = called[of["labels"]]
        if of["labels"] == "released":
            labels += f", against {called['soft']}"
        whom = f"{ROWS[of['row']]} with {labels}"
        if own <= other:
            yield f"the release does not beat {whom}: {beside}"
        elif not low > 0:
            yield (
                f"the release is not clearly better than {whom}: {beside}, difference {low:.3f} to "
                f"{high:.3f}"
            )
        elif of["row"] == "random":
            yield f"the release beats {whom}: {beside}"


def _four(settings: Json, row: str, labels: tuple[str, ...]) -> str:
    pairs = (
        _pair(settings[f"{row}-{one}-{way}"]) for one in labels for way in ("augmented", "plain")
    )
    return "  ".join(pairs)


def _pair(figures: Json) -> str:
    return f"{figures['balanced_accuracy']['mean']:.2f} ({figures['auc']['mean']:.2f})"


def _short(interval: Json) -> str:
    return f"{interval['mean']:.2f} ({interval['low']:.2f} to {interval['high']:.2f})"
