"""Networks of a run that two processes share, and networks that are trained at once."""

import shutil
from pathlib import Path

import pytest
import torch
from invented_cohort import Made, copied
from torch import Tensor

import pipelines.evaluation.utility
from pipelines.evaluation.utility import utility
from pipelines.learning.opened_run import open_run
from pipelines.run.lock import held
from pipelines.run.release_file import read_release
from pipelines.run.results import release_hash
from pipelines.run.seal import read_sealed
from pipelines.run.store import Json, Run
from pipelines.workers.pieces import Piece, shared


def pieces(folder: Path, done: list[int], purpose: str = "a test") -> list[Piece]:
    def piece(number: int) -> Piece:
        def make() -> Json:
            done.append(number)
            return {"number": number}

        return Piece(folder / f"{number}.json", f"{purpose} {number}", make)

    return [piece(number) for number in range(3)]


def test_a_piece_that_another_process_is_at_is_left_to_it_until_the_end(tmp_path: Path) -> None:
    done: list[int] = []
    zero, one, two = pieces(tmp_path, done)
    progress = shared([zero, one, two])
    with held(tmp_path / "1.lock", wait=False) as free:
        assert free
        assert [next(progress), next(progress)] == [zero, two]
    assert next(progress) == one
    assert next(progress, None) is None
    assert done == [0, 2, 1]


def test_a_piece_is_done_once_and_again_only_for_another_purpose(tmp_path: Path) -> None:
    done: list[int] = []
    for purpose in ("a test", "a test", "another"):
        some = pieces(tmp_path, done, purpose)
        assert len(list(shared(some))) == 3
        assert [piece.result for piece in some] == [{"number": number} for number in range(3)]
    assert done == [0, 1, 2, 0, 1, 2]


def test_a_piece_that_failed_is_free_for_others(tmp_path: Path) -> None:
    def fail() -> Json:
        raise ZeroDivisionError

    path = tmp_path / "0.json"
    with pytest.raises(ZeroDivisionError):
        list(shared([Piece(path, "a test 0", fail)]))
    assert not path.exists()
    done: list[int] = []
    assert len(list(shared(pieces(tmp_path, done)))) == 3


def test_networks_trained_at_once_say_what_they_say_one_by_one(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = open_run(Run(copied(made.path, tmp_path / "run")))
    folder = opened.run.private / "worth"
    names = ("full", "random", "synthetic")

    def predicted(each: int) -> dict[str, Tensor]:
        monkeypatch.setattr(pipelines.evaluation.utility, "networks_at_once", lambda _: each)
        shutil.rmtree(folder)
        stages = [event.total for event in utility(opened, read_release(opened.run), "convnet")]
        assert stages[0] == 5 * 2 // each
        found = {}
        for name in names:
            files = sorted((folder / "convnet").glob(f"{name}-*.json"))
            about = {"synthetic": release_hash(opened.run)}.get(name, "")
            of = [str(number) for number in range(2)] if each == 1 else ["0 1"]
            sealed = [
                read_sealed(path, f"networks {which} of {name} {about}", "")
                for path, which in zip(files, of, strict=True)
            ]
            nets = [net for one in sealed for net in one["probabilities"]]
            found[name] = torch.tensor(nets)
        return found

    alone, together = predicted(1), predicted(2)
    for name in names:
        assert alone[name].shape[0] == 2
        assert not torch.equal(alone[name][0], alone[name][1])
        torch.testing.assert_close(together[name], alone[name], atol=1e-4, rtol=1e-4)
