"""Own films meet the sender's: read as they were read, and no test film is trained on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medidd.dicom.folder.cohort import Cohort
from medidd.dicom.reading import Reading
from pipelines.models.films import OwnFilms, to_learn, to_test
from pipelines.run.errors import Stop


def cohort(splits: list[str]) -> Cohort:
    count = len(splits)
    return Cohort(
        images=np.arange(count, dtype=np.uint16)[:, None, None],
        labels=np.arange(count) % 2,
        classes=("a", "b"),
        patients=np.array([f"p{n}" for n in range(count)]),
        splits=np.array(splits),
        refused={},
        tokens=frozenset(),
        names=tuple(frozenset({f"n{n}"}) for n in range(count)),
        traits={"sex": [str(n) for n in range(count)]},
    )


def test_official_splits_are_kept_apart() -> None:
    whole = cohort(["train", "test", "val", "test", ""])
    learned, tested = to_learn(whole), to_test(whole)
    assert learned.patients.tolist() == ["p0", "p2", "p4"]
    assert tested.patients.tolist() == ["p1", "p3"]
    assert tested.images.ravel().tolist() == [1, 3]
    assert tested.labels.tolist() == [1, 1]
    assert tested.traits["sex"] == ["1", "3"]
    assert tested.names == (frozenset({"n1"}), frozenset({"n3"}))
    unsplit = cohort(["", "", ""])
    assert to_test(unsplit).patients.tolist() == to_learn(unsplit).patients.tolist()
    with pytest.raises(Stop, match="test split"):
        to_learn(cohort(["test", "test"]))


def test_what_changes_pixels_is_the_senders_choice_and_what_is_used_the_owners() -> None:
    sender = Reading(voi="percentile", crop="auto", views=("PA",), fast_j2k=True)
    own = OwnFilms(Path("films"), "pictures", accept=("no-uid",), burned_in="mask")
    wanted = replace(sender, files="pictures", accept=("no-uid",), burned_in="mask", fast_j2k=False)
    assert own.reading(sender) == wanted
