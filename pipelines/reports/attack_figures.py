"""The plots of the internal report: how well an attack tells members from controls.

All plots pool the patients of all classes, like the policy's residual risk.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter
from scipy.stats import norm

from pipelines.reports.figures import INK, LINE, SOFT, address, blank
from privacy.policy import Policy
from privacy.statistics.scores import Scores, Tail

MEMBER, CONTROL, LIMIT = "#0b6bcb", "#c2571a", "#a4262c"
MOST_POINTS = 200
BINS = 24


@dataclass(frozen=True)
class Point:
    """The attack at one threshold, which is the score of a control.

    Attributes:
        fpr: expected share of new controls that the attack takes for members.
        tpr: share of members that it takes for members.
        low: one-sided 95 % lower bound of the true-positive rate (Clopper-Pearson).
        high: one-sided 95 % upper bound.
    """

    fpr: float
    tpr: float
    low: float
    high: float


def curve(scores: Scores) -> list[Point]:
    """Returns the attack at 200 of its thresholds at most, evenly spaced on a log axis."""
    controls = scores.controls.double().sort(descending=True).values.numpy()
    members = scores.members.double().sort().values.numpy()
    n1, n0 = len(members), len(controls)
    points = []
    for k in np.unique(np.geomspace(1, n0, MOST_POINTS).round().astype(int)).tolist():
        hits = n1 - int(np.searchsorted(members, controls[k - 1], side="left"))
        at = Tail(hits, n1, k, n0)
        points.append(Point(at.fpr, at.tpr, *at.tpr_bounds()))
    return points


def roc(points: Sequence[Point], policy: Policy, members: int) -> str:
    """Returns the ROC curve on log axes, with bounds, chance and the policy's limit."""
    figure, axes = blank()
    fpr, tpr, low, high = np.array([(p.fpr, p.tpr, p.low, p.high) for p in points]).T
    floor = 0.5 / members  # a log axis has no zero: this is its place, below one member
    left = min(fpr.min(), 0.01)
    chance = np.geomspace(left, 1 - 1e-6, 200)
    limit = norm.cdf(policy.largest_mu + norm.ppf(chance))
    axes.fill_between(
        fpr, low.clip(floor), high, step="post", color=MEMBER, alpha=0.16, linewidth=0
    )
    axes.step(fpr, tpr.clip(floor), where="post", color=MEMBER, linewidth=2, label="this attack")
    axes.plot(chance, limit, color=LIMIT, linewidth=1.4, linestyle="--", label="policy's limit")
    axes.plot(chance, chance, color=SOFT, linewidth=1.2, linestyle=":", label="chance")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(left, 1)
    axes.set_ylim(floor, 1.08)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(_percent))
    axes.set_xlabel("controls taken for members")
    axes.set_ylabel("members recognised")
    axes.legend(loc="lower right", frameon=False, fontsize=9)
    return address(figure)


def histogram(scores: Scores, *, calibrated: bool) -> str:
    """Returns the spread of the scores of members and controls; calibrated ones lie around zero."""
    figure, axes = blank()
    members, controls = (x.double().numpy() for x in (scores.members, scores.controls))
    edges = np.histogram_bin_edges(np.concatenate([members, controls]), BINS).tolist()
    for values, color, name in ((controls, CONTROL, "controls"), (members, MEMBER, "members")):
        weights = np.full(len(values), 1 / len(values))
        axes.hist(values, edges, weights=weights, color=color, alpha=0.22)
        axes.hist(
            values, edges, weights=weights, color=color, histtype="step", linewidth=1.6, label=name
        )
        axes.axvline(float(np.median(values)), color=color, linewidth=1.2, linestyle=":")
    if calibrated:
        axes.axvline(0, color=INK, linewidth=1)
    axes.set_xlabel("score minus that on null releases" if calibrated else "score, not calibrated")
    axes.set_ylabel("share of patients")
    axes.legend(loc="upper right", frameon=False, fontsize=9)
    return address(figure)


def bars(
    names: Sequence[str], shares: Sequence[Sequence[float]], fits: Sequence[bool], limit: float
) -> str:
    """Returns a bar for each released image, divided into the shares of patients.

    Args:
        names: of the images.
        shares: of each image, the largest first; the rest up to one belongs to other patients.
        fits: whether the shares explain the image; if not, they mean little and the bar is grey.
        limit: largest allowed share of one patient.
    """
    figure, axes = blank()
    figure.set_size_inches(9.2, 0.9 + 0.32 * len(shares))
    for row, (image, fit) in enumerate(zip(shares, fits, strict=True)):
        _bar(axes, row, image, MEMBER if fit else LINE)
    axes.axvline(limit, color=LIMIT, linewidth=1.4, linestyle="--")
    axes.set_yticks(range(len(names)), list(names))
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(FuncFormatter(_percent))
    axes.set_xlabel("share of each patient, the largest first")
    axes.grid(visible=False, axis="y")
    return address(figure)


def _percent(share: float, _: int | None = None) -> str:
    return f"{100 * share:g} %"


def _bar(axes: Axes, row: int, shares: Sequence[float], color: str) -> None:
    left = 0.0
    for number, share in enumerate(shares):
        axes.barh(
            row,
            share,
            left=left,
            height=0.68,
            color=color,
            alpha=max(0.2, 0.9 - 0.14 * number),
            edgecolor="white",
            linewidth=0.8,
        )
        left += share
