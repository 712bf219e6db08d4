"""The plots of a comparison. A method has a shape and a color, so that print tells."""

from collections.abc import Sequence
from statistics import mean

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipelines.reports.comparison_rows import epsilon
from pipelines.reports.figures import INK, SOFT, address, blank
from pipelines.run.store import Json

_SHAPES = "osD^vPX<>*hp"
_TONES = ("#0b6bcb", "#c2571a", "#2f8f6b", "#7a5aa6", "#a4262c", "#7a6a2f", "#1b2430")
_LINES = ("-", "--", "-.", (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1)))
_LIMIT = "#a4262c"
_CROSS: Json = {"marker": "x", "color": INK, "ms": 11, "mew": 1.4}
_BESIDE = {
    "full": ("all films", ":"),
    "kmeans": ("k-means", "-."),
    "random": ("random films", "--"),
}
_INCHES = (5.6, 4.8)
_DIMENSIONS = ("size", "epsilon", "ipc")


def trade_off(groups: Sequence[Json]) -> str:
    """Returns AUC of classifiers over the AUC that an attack reaches at most, a mark per group.

    Args:
        groups: rows whose bounds are of the same kind, or guaranteed.
    """
    figure, axes = blank()
    figure.set_size_inches(*_INCHES)
    methods = _methods(groups)
    for place, group in enumerate(groups):
        _mark(axes, group, methods.index(group["method"]), below=place % 2 == 1)
    _levels(axes, groups)
    limits = {group["limit"] for group in groups if group["limit"] is not None}
    if len(limits) == 1:
        axes.axvline(*limits, color=_LIMIT, linewidth=1.2, linestyle="--")
        axes.annotate(
            "policy's limit ",
            (*limits, 0.01),
            xycoords=("data", "axes fraction"),
            rotation=90,
            ha="right",
            va="bottom",
            fontsize=8,
            color=_LIMIT,
        )
    axes.set_xlabel("AUC of an attack on membership, at most")
    axes.set_ylabel("AUC of classifiers")
    axes.set_xlim(left=min(0.5, axes.get_xlim()[0]))
    for number, method in enumerate(methods):
        axes.plot([], [], label=method, linestyle="", **_shape(number, filled=True))
    axes.plot([], [], "o", mfc=SOFT, mec=SOFT, label="filled: guaranteed")
    axes.plot([], [], "o", mfc="white", mec=SOFT, label="open: audited")
    axes.plot([], [], linestyle="", label="crossed: FAIL or INVALID", **_CROSS)
    _legend(figure, axes)
    return address(figure)


def _mark(axes: Axes, group: Json, number: int, *, below: bool) -> None:
    leaks, auc = group["leakage"], group["auc"]
    guaranteed = leaks["guaranteed"] is not None
    low, high = _reach(auc)
    tone = _TONES[number % len(_TONES)]
    axes.plot([leaks["bound"]] * 2, [low, high], color=tone, linewidth=1, alpha=0.6)
    if not guaranteed:
        estimate = leaks["attack"]["estimate"]
        axes.plot([estimate, leaks["bound"]], [auc["mean"]] * 2, color=tone, linewidth=1, alpha=0.6)
    axes.plot(leaks["bound"], auc["mean"], zorder=3, **_shape(number, filled=guaranteed))
    if {"FAIL", "INVALID"} & group["audit"]["verdicts"].keys():
        axes.plot(leaks["bound"], auc["mean"], zorder=4, **_CROSS)
    axes.annotate(
        group["row"],
        (leaks["bound"], auc["mean"]),
        xytext=(6, -13 if below else 6),
        textcoords="offset points",
        fontsize=9,
        color=INK,
    )


def over(name: str, groups: Sequence[Json]) -> str:
    """Returns AUC over one dimension of the groups, with a line through all that differ only in it.

    A group that differs from all others in something else is left out, unless all do.

    Args:
        name: "ipc", "size" or "epsilon".
        groups: rows that may be compared.
    """
    figure, axes = blank()
    figure.set_size_inches(*_INCHES)
    others = [
        one for one in _DIMENSIONS if one != name and len({group[one] for group in groups}) > 1
    ]
    methods, series = _methods(groups), dict[str, list[Json]]()
    for group in groups:
        told = [group["method"], *(_told(one, group[one]) for one in others)]
        told += [f"{what} {value}" for what, value in group["settings"].items() if what != name]
        series.setdefault(", ".join(told), []).append(group)
    if any(len(line) > 1 for line in series.values()):
        series = {label: line for label, line in series.items() if len(line) > 1}
    groups = [group for line in series.values() for group in line]
    values = sorted({group[name] for group in groups}, key=lambda one: (one is None, one or 0))
    for number, (label, line) in enumerate(series.items()):
        line.sort(key=lambda group: values.index(group[name]))
        shape = methods.index(line[0]["method"])
        # Beside each other, so that no interval hides another one.
        shift = 0.24 * ((number + 0.5) / len(series) - 0.5)
        places = [values.index(group[name]) + shift for group in line]
        axes.plot(
            places,
            [group["auc"]["mean"] for group in line],
            linestyle=_LINES[number % len(_LINES)],
            linewidth=1.4,
            label=label,
            **_shape(shape, filled=line[0]["epsilon"] is not None),
        )
        for place, group in zip(places, line, strict=True):
            tone = _TONES[shape % len(_TONES)]
            axes.plot([place] * 2, _reach(group["auc"]), zorder=1, color=tone, alpha=0.6, lw=1)
    for row, (label, style) in _BESIDE.items():
        told = [[g[row]["mean"] for g in groups if g[name] == value and g[row]] for value in values]
        if all(told):
            axes.plot(
                range(len(values)),
                list(map(mean, told)),
                color=SOFT,
                linewidth=1,
                linestyle=style,
                label=label,
                alpha=0.8,
                zorder=1,
            )
    axes.set_xticks(range(len(values)), [_tick(name, value) for value in values])
    axes.set_xlim(-0.4, len(values) - 0.6)
    axes.set_xlabel({"ipc": "images per class", "size": "pixels"}.get(name, name))
    axes.set_ylabel("AUC of classifiers")
    _legend(figure, axes)
    return address(figure)


def _levels(axes: Axes, groups: Sequence[Json]) -> None:
    """Draws what networks reach that are trained on all films."""
    full = [group["full"]["mean"] for group in groups if group["full"]]
    if full:
        axes.axhline(mean(full), color=SOFT, linewidth=1, linestyle=":", label="all films")


def _legend(figure: Figure, axes: Axes) -> None:
    figure.legend(
        *axes.get_legend_handles_labels(),
        loc="outside lower center",
        ncols=2,
        frameon=False,
        fontsize=8,
    )


def _shape(number: int, *, filled: bool) -> Json:
    tone = _TONES[number % len(_TONES)]
    return {
        "marker": _SHAPES[number % len(_SHAPES)],
        "color": tone,
        "mec": tone,
        "mfc": tone if filled else "white",
        "ms": 7,
    }


def _reach(auc: Json) -> list[float]:
    if auc["deviation"] is None:
        return [auc["low"], auc["high"]]
    return [auc["mean"] - auc["deviation"], auc["mean"] + auc["deviation"]]


def _methods(groups: Sequence[Json]) -> list[str]:
    return list(dict.fromkeys(group["method"] for group in groups))


def _told(name: str, value: Json) -> str:
    return f"{value} px" if name == "size" else f"{name} {_tick(name, value)}"


def _tick(name: str, value: Json) -> str:
    return epsilon(value) if name == "epsilon" else f"{value}"
