"""The plots of the report, as SVG in data addresses, the same bytes every time."""

import base64
import io
from collections.abc import Mapping, Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipelines.run.store import Json

INK, SOFT, LINE = "#1b2430", "#5b6775", "#d9dee5"
COLORS = {
    "synthetic": "#0b6bcb",
    "own": "#5aa9e6",
    "random": "#c2571a",
    "kmeans": "#7a5aa6",
    "average": "#2f8f6b",
    "class-mean": "#7a6a2f",
    "full": INK,
    "model": "#0b6bcb",
}


def loss_curve(losses: Sequence[float]) -> str:
    """Returns the loss over steps, with its running mean."""
    figure, axes = blank()
    steps = range(1, len(losses) + 1)
    axes.plot(steps, losses, color=COLORS["synthetic"], alpha=0.25, linewidth=0.9)
    axes.plot(steps, running_mean(losses), color=COLORS["synthetic"], linewidth=1.8)
    if min(losses) > 0 and max(losses) > 10 * min(losses):
        axes.set_yscale("log")
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.set_xlim(1, max(len(losses), 2))
    return address(figure)


def running_mean(losses: Sequence[float], window: int = 20) -> list[float]:
    """Returns the mean of the last ``window`` losses at each step."""
    return [
        sum(losses[max(0, end - window) : end]) / min(window, end)
        for end in range(1, len(losses) + 1)
    ]


def roc(curves: Mapping[str, Sequence[Sequence[Sequence[float]]]]) -> str:
    """Returns ROC curves by row name; with several classes, one curve per class."""
    figure, axes = blank()
    axes.plot([0, 1], [0, 1], color=LINE, linewidth=1)
    for row, by_class in curves.items():
        for number, (fpr, tpr) in enumerate(by_class):
            axes.plot(
                fpr,
                tpr,
                color=COLORS[row],
                linewidth=2.4 if row == "synthetic" else 1.3,
                linestyle=":" if row == "full" else "-",
                label=None if number else row,
                zorder=3 if row == "synthetic" else 2,
            )
    axes.set_xlabel("1 - specificity")
    axes.set_ylabel("sensitivity")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.01)
    axes.set_aspect("equal")
    if len(curves) > 1:
        axes.legend(loc="lower right", frameon=False, fontsize=9)
    return address(figure)


def reliability(bins: Sequence[Json]) -> str:
    """Returns the reliability diagram: what was said, and how often it was so."""
    figure, axes = blank()
    axes.plot([0, 1], [0, 1], color=LINE, linewidth=1)
    said = [one["said"] for one in bins]
    happened = [one["happened"] for one in bins]
    reach = [
        [max(one["mean"] - one["low"], 0) for one in happened],
        [max(one["high"] - one["mean"], 0) for one in happened],
    ]
    means = [one["mean"] for one in happened]
    axes.errorbar(
        said, means, reach, color=COLORS["model"], ecolor=SOFT, elinewidth=1, marker="o", ms=5
    )
    axes.set_xlabel("predicted probability")
    axes.set_ylabel("share of films")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.01)
    axes.set_aspect("equal")
    return address(figure)


def blank() -> tuple[Figure, Axes]:
    """Returns a figure with empty axes in the style of the reports."""
    figure = Figure(figsize=(4.6, 3.9), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(LINE)
    axes.tick_params(colors=SOFT, labelsize=9)
    axes.xaxis.label.set_color(SOFT)
    axes.yaxis.label.set_color(SOFT)
    axes.grid(color=LINE, linewidth=0.5)
    axes.set_axisbelow(True)
    return figure, axes


def address(figure: Figure) -> str:
    """Returns a figure as SVG in a data address."""
    out = io.BytesIO()
    # A fixed salt and no date, because matplotlib's defaults differ from run to run.
    with mpl.rc_context({"svg.hashsalt": "medidd", "svg.fonttype": "path"}):
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return "data:image/svg+xml;base64," + base64.b64encode(out.getvalue()).decode()
