"""The rows of a comparison in words, as its page and a terminal show them."""

from collections.abc import Iterator, Mapping, Sequence

from pipelines.run.store import Json

UTILITY = ("auc", "hm", "own", "random", "kmeans", "full")
NONE = "-"
_VERDICTS = ("INVALID", "FAIL", "INCONCLUSIVE", "PASS")


def shown(groups: Sequence[Json]) -> Iterator[dict[str, str]]:
    """Yields a row for each group and, where it has several runs, one for each of them."""
    for group in groups:
        single = len(group["runs"]) == 1
        yield _of_group(group) | {"of": "single" if single else "group"}
        if not single:
            for run in group["runs"]:
                yield _of_run(group, run) | {"of": "run"}


def _of_group(group: Json) -> dict[str, str]:
    levels = group["audit"]["levels"]
    return _row(group, group) | {
        "seeds": _seeds(group["seeds"]),
        "verdict": _worst(group["audit"]["verdicts"]),
        "level": levels[0] if len(levels) == 1 else "mixed",
    }


def _of_run(group: Json, run: Json) -> dict[str, str]:
    return _row(group, run) | {
        "seeds": f"{run['seed']}",
        "verdict": run["audit"]["verdict"],
        "level": run["audit"]["level"],
    }


def _row(group: Json, one: Json) -> dict[str, str]:
    leaks = one["leakage"]
    attack = leaks["attack"]
    return {
        "row": one["row"],
        "method": group["method"],
        "ipc": f"{group['ipc']}",
        "size": f"{group['size']}",
        "epsilon": epsilon(group["epsilon"]),
        **{name: _mean(one[name]) for name in UTILITY},
        "spread": spread(one["auc"]),
        "bound": _bound(leaks["bound"]),
        "guaranteed": "" if leaks["guaranteed"] is None else "guaranteed",
        "attack": f"{attack['audit']} {attack['estimate']:.2f}" if attack else NONE,
        "attack bound": _bound(attack and attack["bound"]),
        "caught": NONE if leaks["caught"] is None else f"{leaks['caught']:.0%}",
        "seconds": f"{one['seconds']:.0f}",
        "bytes": f"{one['bytes']:,}",
        "marks": "".join(one["marks"]),
        "settings": ", ".join(f"{name} {value}" for name, value in group["settings"].items()),
    }


def epsilon(value: float | None) -> str:
    """Returns an epsilon in words."""
    return "none" if value is None else f"{value:g}"


def spread(figure: Json) -> str:
    """Returns how sure a figure is: its interval or, of several runs, their deviation."""
    if figure["deviation"] is None:
        return f"{figure['low']:.2f} to {figure['high']:.2f}"
    return f"sd {figure['deviation']:.3f}, n {figure['runs']}"


def _worst(verdicts: Mapping[str, int]) -> str:
    """Returns the verdict that weighs most, and how many of the runs have it if not all do."""
    name = next(verdict for verdict in _VERDICTS if verdict in verdicts)
    count = sum(verdicts.values())
    return name if verdicts[name] == count else f"{name} {verdicts[name]}/{count}"


def _mean(figure: Json) -> str:
    return NONE if figure is None else f"{figure['mean']:.3f}"


def _bound(value: float | None) -> str:
    return NONE if value is None else f"{value:.2f}"


def _seeds(seeds: Sequence[int]) -> str:
    if len(seeds) > 1 and list(seeds) == list(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]}-{seeds[-1]}"
    return ",".join(map(str, seeds)) if len(seeds) < 3 else f"{len(seeds)} seeds"
