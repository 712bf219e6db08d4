"""What a step costs, and whether its forms agree, in tiny shapes."""

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from benchmarks.counters import Kernels
from benchmarks.growth import AXES, draw
from benchmarks.measuring import Cost, Step, measured
from benchmarks.steps import HEAD, ROWS, main
from medidd.methods import METHODS


def test_every_method_has_a_row() -> None:
    assert {step.method for step in ROWS.values()} == set(METHODS)


@pytest.mark.slow
def test_rows_are_measured_in_three_forms_that_agree() -> None:
    options = ["--quick", "--device", "cpu", "--threads", "1", "--repeats", "1"]
    ran = CliRunner().invoke(main, [*options, "--row", "dm-64", "--row", "mtt-64"])
    assert ran.exit_code == 0, ran.output
    table = [line for line in ran.output.splitlines() if line.startswith("|")]
    head, _, *lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table]
    assert head == list(HEAD)
    assert [line[1] for line in lines] == ["medidd", "textbook", "textbook, tuned"] * 2
    for step, form, seconds, process_seconds, kernels, peak, busy, differs in lines:
        assert (step != "") == (form == "medidd") == (differs == "")
        assert float(seconds.split()[0]) > 0
        assert float(process_seconds.split()[0]) > 0
        assert int(kernels.split()[0]) > 50
        assert int(peak.split()[0]) < 100
        assert busy == ""
        assert form == "medidd" or (float(differs) < 1e-4 and "x)" in seconds)


def test_views_are_no_kernels_and_those_of_the_backward_pass_are() -> None:
    x = torch.ones(3, 4, requires_grad=True)
    with Kernels() as counter:
        y = x.view(4, 3).T[:2]
    assert counter.count == 0
    with counter:
        total = (y * y).sum()
    assert counter.count == 2
    with counter:
        total.backward()
    assert counter.count > 4


def test_growth_is_drawn_over_every_axis_even_where_memory_ended_it() -> None:
    found = [
        {
            method: [(n, Cost(n, n / 10, n, n * 2**20, None)) for n in axis.values[:end]]
            for end, method in enumerate(axis.methods)
        }
        for axis in AXES
    ]
    figure = draw(found)
    figure.canvas.draw()
    for axes, axis in zip(figure.axes, AXES + AXES, strict=True):
        assert len(axes.lines) == len(axis.methods)
        assert axes.get_xscale() == axes.get_yscale() == "log"


def test_a_step_that_needs_more_memory_than_there_is_says_so(tmp_path: Path) -> None:
    step = Step("dm", 4096, width=4, batch=200_000)
    assert measured(step, "medidd", tmp_path, device="cpu", threads=1) == "out of memory"


def test_a_step_that_fails_says_why(tmp_path: Path) -> None:
    step = Step("mtt", 16, width=4, batch=4, values={"inner_steps": 0})
    with pytest.raises(RuntimeError, match=r"mtt, medidd: .*inner_steps.* must be 1"):
        measured(step, "medidd", tmp_path, device="cpu", threads=1)
