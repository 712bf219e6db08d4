"""Runs stand beside each other, and those that must not do are named."""

import json
import re
import shutil
import stat
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pytest
from invented_cohort import Made, Source, called, copied, found_in, traces, tree

from pipelines.run.errors import Exit
from pipelines.run.results import read_audit, read_metrics, write_audit
from pipelines.run.store import Run, read_json

NAMES = ["random-ipc1-seed0", "random-ipc1-seed1"]


def compare(*arguments: object) -> Any:
    """What a comparison tells a script."""
    ended = called("compare", *arguments, "--json")
    assert ended.code == 0, ended.err
    return json.loads(ended.out)


def row(told: Any, path: Path) -> tuple[Any, Any]:
    """The group and the run of a folder."""
    number = next(row for row, where in told["paths"].items() if where == str(path))
    pairs = [(group, run) for group in told["groups"] for run in group["runs"]]
    return next((group, run) for group, run in pairs if run["row"] == number)


def figures(run: Path, name: str = "synthetic") -> Any:
    return read_metrics(Run(run))[name]


@pytest.fixture(scope="session")
def out(sweep: Path, made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the sweep and of a run beside it."""
    folder = tmp_path_factory.mktemp("out") / "compared"
    ended = called("compare", sweep, made.path, "--out", folder)
    assert ended.code == 0, ended.err
    (folder.parent / "said").write_text(ended.out)
    return folder


def test_runs_that_differ_only_in_the_seed_are_one_row_of_means(sweep: Path, made: Made) -> None:
    told = compare(sweep, made.path)
    assert [(group["method"], group["ipc"]) for group in told["groups"]] == [
        ("dm", 3),
        ("random", 1),
    ]
    assert set(told["paths"].values()) == {str(made.path), *(str(sweep / name) for name in NAMES)}
    group, second = row(told, sweep / NAMES[1])
    aucs = [figures(sweep / name)["auc"]["mean"] for name in NAMES]
    assert aucs[0] != aucs[1]
    assert group["auc"] == {"mean": mean(aucs), "deviation": stdev(aucs), "runs": 2}
    assert (group["seeds"], second["row"], second["seed"]) == ([0, 1], "2.2", 1)
    assert second["auc"]["low"] == figures(sweep / NAMES[1])["auc"]["low"]
    assert second["full"]["mean"] == figures(sweep / NAMES[1], "full")["auc"]["mean"]
    assert group["own"] is None
    release = sweep / NAMES[1] / "synthetic.safetensors"
    assert second["bytes"] == release.stat().st_size
    assert second["seconds"] > 0
    assert told["marks"] == {}


def test_without_a_guarantee_the_largest_bound_of_the_attacks_counts(sweep: Path) -> None:
    told = compare(sweep)
    bounds = []
    for name in NAMES:
        attacks = [
            finding
            for finding in read_audit(Run(sweep / name))["findings"]
            if finding["audit"] in ("A1", "A2", "A3")
        ]
        assert len(attacks) == 3
        worst = max(attacks, key=lambda finding: finding["high"])
        group, run = row(told, sweep / name)
        assert run["leakage"]["bound"] == worst["high"]
        found = run["leakage"]["attack"]
        assert (found["audit"], found["estimate"]) == (worst["audit"], worst["value"])
        bounds.append(worst["high"])
    assert bounds[0] != bounds[1]
    assert group["leakage"]["bound"] == max(bounds)


def test_the_table_fits_80_columns(out: Path) -> None:
    lines = (out.parent / "said").read_text().splitlines()
    table = lines[: lines.index("", lines.index("") + 1)]
    assert [line.split()[0] for line in table[:5]] == ["row", "1", "2", "2.1", "2.2"]
    assert [line.split()[0] for line in table[6:]] == ["row", "1", "2", "2.1", "2.2"]
    assert max(map(len, table)) <= 80
    assert f"page: {out / 'compare.html'}" in lines


def test_the_page_names_nobody_and_loads_nothing(out: Path, sweep: Path, source: Source) -> None:
    files = {path.name: path.read_bytes() for path in out.iterdir()}
    assert files.keys() == {"compare.html", "compare.json"}
    assert stat.S_IMODE(out.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in out.iterdir()} == {0o600}
    hidden = [*traces(source), b"ZZFOLDER", str(sweep).encode(), str(out).encode()]
    assert found_in(files.items(), hidden) == []
    page = files["compare.html"].decode()
    assert "Internal" in page
    assert "<script" not in page
    assert set(re.findall(r'(?:src|href)="([a-z]+:[a-z]+/[a-z+]+)', page)) == {
        *("data:image/png", "data:image/svg+xml")
    }
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "://" not in page
    assert "url(" not in page


def test_no_film_is_on_the_page(out: Path) -> None:
    page = (out / "compare.html").read_text()
    # The images of the baseline are films.
    assert re.findall(r'alt="synthetic images of row ([\d.]+)"', page) == ["1"]
    assert "began as films and may show them: 2.1, 2.2." in page


def test_a_run_on_other_films_is_marked_and_in_no_plot(
    sweep: Path, everybody: Made, tmp_path: Path
) -> None:
    told = compare(sweep, everybody.path, "--out", tmp_path / "out")
    group, _ = row(told, everybody.path)
    assert not group["comparable"]
    said = [told["marks"][letter] for letter in group["marks"]]
    assert said == ["other films, patients or classes"]
    assert all(one["comparable"] and not one["marks"] for one in told["groups"] if one is not group)
    page = (tmp_path / "out" / "compare.html").read_text()
    assert f"Not to be compared with the others, and in no plot: row {group['row']}." in page
    told.pop("paths")
    told.pop("failed")
    assert read_json(tmp_path / "out" / "compare.json") == told


def test_a_guarantee_stands_for_its_release(sweep: Path, guaranteed: Path, tmp_path: Path) -> None:
    told = compare(sweep, guaranteed, "--out", tmp_path / "out")
    group, run = row(told, guaranteed)
    reach = read_audit(Run(guaranteed))["guarantee"]["an attacker reaches at most"]
    assert run["leakage"]["bound"] == run["leakage"]["guaranteed"] == reach["AUC"]
    assert run["leakage"]["caught"] == reach["rate at 5 %"]
    assert run["leakage"]["attack"]["bound"] != reach["AUC"]
    assert (group["comparable"], group["epsilon"]) == (True, 2)
    # Under a guarantee patients are held out by coin, so others are.
    said = [told["marks"][letter] for letter in group["marks"]]
    assert said == ["tested on other patients of the same films"]
    assert "AUC over epsilon" in (tmp_path / "out" / "compare.html").read_text()


def test_an_audit_at_another_level_is_marked_and_not_plotted(
    sweep: Path, made: Made, tmp_path: Path
) -> None:
    again = copied(made.path, tmp_path / "run")
    found = read_audit(Run(again))
    write_audit(Run(again), found | {"level": "standard", "null releases": "controls"})
    told = compare(sweep, again, "--out", tmp_path / "out")
    group, _ = row(told, again)
    assert group["comparable"]
    assert not group["leakage comparable"]
    (letter,) = group["marks"]
    assert told["marks"][letter] == (
        "audited at level standard, with null releases of the controls; "
        "most others at level screen, without null releases"
    )
    page = (tmp_path / "out" / "compare.html").read_text()
    assert "their bounds are of another kind or not known: 1." in page
    assert "AUC over images per class" in page


def test_a_damaged_run_is_refused_in_one_line_or_named_in_its_sweep(
    sweep: Path, made: Made, tmp_path: Path
) -> None:
    again = copied(sweep, tmp_path / "sweep")
    metrics = again / NAMES[0] / "metrics.json"
    metrics.write_text(metrics.read_text().replace('"mean": 0.', '"mean": 0.9', 1))
    before = tree(tmp_path)
    alone = called("compare", again / NAMES[0], again / NAMES[1], "--out", tmp_path / "alone")
    assert (alone.code, alone.out) == (Exit.AUDIT, "")
    (line,) = [line for line in alone.err.splitlines() if line.startswith("medidd: ")]
    assert f"{metrics}: damaged" in line
    assert tree(tmp_path) == before

    (again / NAMES[1] / "report.html").unlink()
    both = called("compare", again, made.path, sweep / NAMES[1], "--out", tmp_path / "both")
    assert both.code == Exit.AUDIT
    assert f"2 of 4 runs are not compared: {NAMES[0]}, {NAMES[1]}" in both.err
    assert f"not compared: {again / NAMES[1]}: the sweep has not finished this run" in both.out
    page = (tmp_path / "both" / "compare.html").read_text()
    assert f"No row for {NAMES[0]}: damaged, or changed by hand." in page
    assert f"No row for {NAMES[1]}: not finished, or not readable." in page
    assert str(tmp_path) not in page

    unfinished = called("compare", again / NAMES[1], made.path)
    assert unfinished.code == Exit.USAGE
    assert "the run is not finished" in unfinished.err


def test_an_audit_of_other_images_is_refused(sweep: Path, tmp_path: Path) -> None:
    run = copied(sweep / NAMES[0], tmp_path / "run")
    shutil.copy(sweep / NAMES[1] / "audit.json", run / "audit.json")
    ended = called("compare", run, sweep / NAMES[1])
    assert ended.code == Exit.AUDIT
    assert "is about other images than the run has" in ended.err


def test_one_release_is_nothing_to_compare_and_counts_once(sweep: Path, tmp_path: Path) -> None:
    run = sweep / NAMES[0]
    again = copied(run, tmp_path / "again")
    before = tree(tmp_path)
    ended = called("compare", run, again, "--out", tmp_path / "out")
    assert ended.code == Exit.USAGE
    assert "different releases, and here is one; name more runs" in ended.err
    assert tree(tmp_path) == before
    told = compare(run, again, sweep / NAMES[1])
    assert [group["auc"]["runs"] for group in told["groups"]] == [2]
    assert told["notes"] == [
        "runs left out, because they hold a release that stands here already: 1"
    ]
    taken = called("compare", sweep, "--out", tmp_path)
    assert (taken.code, "name a new folder with --out" in taken.err) == (Exit.USAGE, True)
    inside = ("--out", tmp_path / "new", "--tensorboard", tmp_path / "new" / "events")
    both = called("compare", sweep, *inside)
    assert (both.code, "need folders of their own" in both.err) == (Exit.USAGE, True)
    assert tree(tmp_path) == before


def test_a_run_without_its_films_is_compared_by_its_patients(sweep: Path, tmp_path: Path) -> None:
    again = copied(sweep, tmp_path / "sweep")
    purged = called("cache", "purge", again / NAMES[1], "--yes")
    assert purged.code == 0, purged.err
    told = compare(again)
    group, run = row(told, again / NAMES[1])
    assert (group["comparable"], group["seeds"]) == (True, [0, 1])
    said = [told["marks"][letter] for letter in run["marks"]]
    assert any("its films were deleted" in text for text in said)
