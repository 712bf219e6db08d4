"""The rows of a comparison: one for each run, and one for all runs that differ only in the seed.

Everything here is numbers and words of medidd, as JSON: no path, and nothing that names a patient.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import chain
from statistics import mean, stdev
from string import ascii_lowercase

from pipelines.comparison.alike import apart, reference, remarks, usual_audit
from pipelines.comparison.leakage import kind, leakage, limit
from pipelines.comparison.runs import Compared
from pipelines.run.store import Json

FIGURES = {
    "auc": ("synthetic", "auc"),
    "hm": ("synthetic", "hm"),
    "own": ("own", "auc"),
    "random": ("random", "auc"),
    "kmeans": ("kmeans", "auc"),
    "full": ("full", "auc"),
}
"""The figures of utility: row and metric, as in ``metrics.json``."""

_EACH = ("seed", "step sizes")
"""Facts in which runs of one group differ."""


def rows(runs: Sequence[Compared]) -> Json:
    """Returns the rows, and what must be known to read them.

    Args:
        runs: at least one; each release once.

    Returns:
        ``groups``, each with its ``runs``; ``marks``, texts by letter.
    """
    first = reference(runs)
    alike = [first, *(run for run in runs if run is not first and not apart(run, first))]
    usual = usual_audit(alike)
    texts: dict[str, str] = {}

    def marks(said: Iterable[str]) -> list[str]:
        return sorted(texts.setdefault(text, _letter(len(texts))) for text in said)

    several = sorted(_groups(runs), key=lambda group: _order(group[0], first))
    differing = _settings([group[0] for group in several])
    groups = []
    for number, group in enumerate(several, start=1):
        why = apart(group[0], first)
        made = [
            _run(run, f"{number}.{place}" if len(group) > 1 else f"{number}")
            | {"marks": marks(why or remarks(run, alike, usual))}
            for place, run in enumerate(group, start=1)
        ]
        told = {"row": f"{number}", "settings": differing[number - 1], "comparable": not why}
        of_audit = all(run.epsilon is not None or kind(run.audit) == usual for run in group)
        groups.append(
            _group(group[0], made)
            | told
            | {"leakage comparable": not why and of_audit, "runs": made}
        )
    return {"groups": groups, "marks": {letter: text for text, letter in texts.items()}}


def _groups(runs: Sequence[Compared]) -> list[list[Compared]]:
    """Returns the runs in groups that differ only in the seed, by seed."""
    known = {run.cohort.patients: run.cohort.films for run in runs if run.cohort.films}
    found: dict[str, list[Compared]] = {}
    for run in sorted(runs, key=lambda one: one.facts["seed"]):
        same = {name: value for name, value in run.facts.items() if name not in _EACH}
        films = run.cohort.films or known.get(run.cohort.patients, "")  # they may be deleted
        told = [same, run.size, run.cohort.patients, films]
        found.setdefault(json.dumps(told, sort_keys=True), []).append(run)
    return list(found.values())


def _order(run: Compared, first: Compared) -> tuple[bool, str, int, float, int]:
    private = float("inf") if run.epsilon is None else run.epsilon
    return bool(apart(run, first)), run.facts["method"], run.size, private, run.facts["ipc"]


def _run(run: Compared, row: str) -> Json:
    """Returns the row of one run."""
    leaks, metrics = leakage(run.audit), run.metrics
    return {
        "row": row,
        "release": run.sha256,
        "seed": run.facts["seed"],
        **{
            name: _over([metrics[of][metric] if of in metrics else None])
            for name, (of, metric) in FIGURES.items()
        },
        "audit": {"verdict": run.audit["verdict"], "level": run.audit["level"]},
        "leakage": {"bound": leaks.bound, "caught": leaks.caught, **asdict(leaks)},
        "seconds": round(sum(run.seconds.values()), 1),
        "stages": dict(run.seconds),
        "bytes": run.bytes,
    }


def _group(one: Compared, runs: Sequence[Json]) -> Json:
    """Returns the row of runs that differ only in the seed.

    Figures are means over the runs, with their standard deviation. What may leak is that of the run
    that may leak most.
    """
    guarantee = one.facts["guarantee"]
    bounds = [run["leakage"] for run in runs]
    worst = max(bounds, key=lambda leaks: leaks["bound"] or 0)
    return {
        "method": one.facts["method"],
        "ipc": one.facts["ipc"],
        "size": one.size,
        "epsilon": one.epsilon,
        "delta": None if guarantee is None else guarantee["delta"],
        "mu": None if guarantee is None else guarantee["mu"],
        "seeds": [run["seed"] for run in runs],
        **{name: _over([run[name] for run in runs]) for name in FIGURES},
        "audit": {
            "verdicts": dict(Counter(run["audit"]["verdict"] for run in runs)),
            "levels": sorted({run["audit"]["level"] for run in runs}),
        },
        "leakage": worst if all(leaks["bound"] is not None for leaks in bounds) else _UNKNOWN,
        "limit": limit(one.audit),
        "seconds": round(mean(run["seconds"] for run in runs), 1),
        "bytes": round(mean(run["bytes"] for run in runs)),
        "marks": sorted(set(chain.from_iterable(run["marks"] for run in runs))),
    }


_UNKNOWN: Mapping[str, Json] = {
    "bound": None,
    "caught": None,
    "attack": None,
    "guaranteed": None,
    "guaranteed_caught": None,
}


def _over(intervals: Sequence[Json]) -> Json:
    """Returns mean and deviation of a figure over runs; of a single run, its own interval."""
    if any(one is None for one in intervals):
        return None
    means = [one["mean"] for one in intervals]
    if len(means) == 1:
        return intervals[0] | {"deviation": None, "runs": 1}
    return {"mean": mean(means), "deviation": stdev(means), "runs": len(means)}


def _settings(runs: Sequence[Compared]) -> list[dict[str, str]]:
    """Returns, for each run, the settings in which it differs from others of its method."""
    told = [_told(run) for run in runs]
    found = []
    for run, own in zip(runs, told, strict=True):
        others = [
            one
            for other, one in zip(runs, told, strict=True)
            if other.facts["method"] == run.facts["method"]
        ]
        values = {name: {one[name] for one in others if name in one} for name in own}
        found.append({name: own[name] for name in sorted(own) if len(values[name]) > 1})
    return found


def _told(run: Compared) -> dict[str, str]:
    """Returns what decides a release beside method, ipc, size, epsilon and seed, as words."""
    facts = run.facts
    held = {"start": facts["start"], "teachers": facts["teachers"], "steps": facts["steps"]}
    held |= facts["fields"] | facts["ingredients"]
    if (guarantee := facts["guarantee"]) is not None:
        held |= {"delta": guarantee["delta"], "declared patients": guarantee["patients"]}
    return {name: _word(value) for name, value in held.items()}


def _word(value: Json) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _letter(number: int) -> str:
    return ascii_lowercase[number] if number < len(ascii_lowercase) else f"{number + 1}"
