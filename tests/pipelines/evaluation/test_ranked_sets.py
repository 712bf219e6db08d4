"""The sets of a ranking are of one size, and labelled alike."""

from dataclasses import replace
from pathlib import Path

import torch
from invented_cohort import Made, copied

from pipelines.evaluation.ranked_sets import Sets, Setting
from pipelines.learning.opened_run import open_run
from pipelines.run.release_file import read_release
from pipelines.run.store import Run


def test_all_sets_have_the_releases_size_and_the_labels_of_the_same_teachers(
    made: Made, tmp_path: Path
) -> None:
    opened = open_run(Run(copied(made.path, tmp_path / "run")))
    release = read_release(opened.run)
    hard = torch.eye(2).repeat_interleave(3, 0)
    sets = Sets(opened, release)
    assert sets.rows == ("synthetic", "random", "kmeans", "average")
    for setting in sets.settings:
        images, labels = sets.labelled(setting, 0)
        assert images.shape == release.images.shape
        if setting.labels == "hard":
            assert labels.equal(hard)
            continue
        said = [torch.tensor(piece.result[setting.row][0]) for piece in sets.teaching]
        assert len(said) == 3
        assert not said[0].equal(said[1])
        torch.testing.assert_close(labels, torch.stack(said).mean(0))
        torch.testing.assert_close(labels.sum(1), torch.ones(6))
    one, other = (sets.labelled(Setting("random", "hard"), net)[0] for net in (0, 1))
    assert not one.equal(other)

    # A release whose labels were learned is judged with these, too.
    learned = torch.rand(6, 2, generator=torch.Generator().manual_seed(0)).softmax(1)
    of = Sets(opened, replace(release, labels=learned))
    own = Setting("synthetic", "released")
    assert {*of.settings} - {*sets.settings} == {own, own.plain}
    assert of.labelled(own, 0)[1].equal(learned)
    assert of.labelled(Setting("synthetic", "hard"), 0)[1].equal(hard)
    assert own.beside == Setting("random", "soft")


def test_a_run_says_how_many_teachers_there_are(made: Made) -> None:
    opened = open_run(Run(made.path))
    taught = replace(opened, frozen=replace(opened.frozen, teachers=5))
    assert Sets(taught, read_release(opened.run)).count == 5
