"""Options in a YAML file, and the command line over them."""

import json
from pathlib import Path

import pytest
from invented_cohort import Source, called

pytestmark = pytest.mark.usefixtures("no_rehearsal")


def asked(run: Path) -> dict[str, object]:
    job: dict[str, object] = json.loads((run / "run.json").read_text())["job"]
    return job


@pytest.fixture
def config(tmp_path: Path, source: Source) -> Path:
    path = tmp_path / "options.yaml"
    path.write_text(
        f"dicom-dir: {source.folder}\n"
        f"out: {tmp_path / 'run'}\n"
        "ipc: 2\nsize: 16\nwidth: 4\nsteps: 2\nseed: 5\ndevice: cpu\njson: true\n"
        "method: dm\nepsilon: none\n"
        "set:\n  lr_images: 0.5\n  batch: 7\n"
    )
    return path


def test_options_come_from_the_file(config: Path, tmp_path: Path) -> None:
    ended = called("distill", "-c", config)
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["ipc"] == 2
    job = asked(tmp_path / "run")
    wanted = {"ipc": 2, "size": 16, "width": 4, "steps": 2, "seed": 5}
    assert {name: job[name] for name in wanted} == wanted
    assert job["settings"] == {"lr_images": 0.5, "batch": 7}


def test_the_command_line_wins(config: Path, tmp_path: Path) -> None:
    ended = called("distill", "--seed", 6, "-c", config, "--ipc", 1, "--steps", 1)
    assert ended.code == 0, ended.err
    job = asked(tmp_path / "run")
    assert (job["seed"], job["ipc"], job["steps"], job["size"]) == (6, 1, 1, 16)


def test_an_empty_file_changes_nothing(tmp_path: Path, source: Source) -> None:
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    arguments = ("--dicom-dir", source.folder, "--ipc", 1, "--dry-run", "--json")
    with_file = called("distill", *arguments, "-c", tmp_path / "empty.yaml")
    without = called("distill", *arguments)
    assert with_file.code == without.code == 0
    assert json.loads(with_file.out)["run"] == json.loads(without.out)["run"]


def test_an_option_without_a_value_is_refused(config: Path, tmp_path: Path) -> None:
    """An empty epsilon must not be read as the word none, which gives up the guarantee."""
    for empty in ("epsilon:\n", "epsilon: null\n", "delta: ~\n"):
        config.write_text(f"dicom-dir: {tmp_path}\nipc: 1\n{empty}")
        ended = called("distill", "-c", config, "--dry-run")
        assert (ended.code, "has no value" in ended.err) == (2, True), ended.err


def test_a_file_cannot_name_another_file(config: Path) -> None:
    config.write_text("config: other.yaml\n")
    ended = called("distill", "-c", config)
    assert ended.code == 2
    assert "unknown option 'config'" in ended.err
