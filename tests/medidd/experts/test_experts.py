"""Expert trajectories: the same bytes again, nobody else's eyes, and no other run's experts."""

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from medidd.architectures import convnet
from medidd.data import Question, RealSet, Source
from medidd.descent import gradient, loss_on, minus
from medidd.experts.trajectories import Experts, Trajectories
from medidd.network import Weights

F = convnet(2, 1, 8, width=3)
ABOUT = {"network": "convnet", "width": 3, "size": 8, "films": "3f9a"}


@pytest.fixture
def source(films: Callable) -> Callable[[int, torch.Generator], Source]:
    images, labels = films(6, size=8)
    return lambda _, rng: RealSet(images, labels, 2, rng)


@pytest.fixture
def made(tmp_path: Path, source: Callable) -> Path:
    """A folder of experts."""
    list(trained().make(tmp_path / "experts", source, ABOUT))
    return tmp_path / "experts"


def trained(**other: Any) -> Experts:
    return Experts(F, **{"count": 2, "epochs": 3, "epoch_steps": 2, "batch": 8} | other)


def held(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def drawn(folder: Path, start: int = 0, apart: int = 1) -> tuple[Weights, Weights]:
    """The first draw from epoch ``start`` onward."""
    trajectories, rng = Trajectories(folder, F, ABOUT), torch.Generator().manual_seed(0)
    return trajectories.draw(rng, last_start=start, apart=apart, like=torch.empty(0))


def opened(folder: Path, about: dict[str, Any] = ABOUT) -> str:
    return Trajectories(folder, F, about).sha256


def flat(theta: Weights) -> Tensor:
    return torch.cat([weight.flatten() for weight in theta.values()])


def test_an_expert_is_sgd_on_balanced_batches(films: Callable, tmp_path: Path) -> None:
    images, labels = films(4, size=8, dtype=torch.double)
    # Batches of all films there are, so that none is drawn, and no augmentation.
    one = trained(count=1, epochs=2, batch=64, lr=0.1, augment=())
    sources = []

    def source(_: int, rng: torch.Generator) -> Source:
        sources.append(rng.clone_state())
        return RealSet(images, labels, 2, rng)

    list(one.make(tmp_path, source, ABOUT, like=images))
    theta = F.init(sources[0], like=images)
    rows = np.load(tmp_path / "expert-0000.npy")
    for row in rows:
        assert np.abs(row - flat(theta).numpy()).max() < 1e-6
        for _ in range(2):
            parts = [
                gradient(F, theta, images[labels == c], torch.eye(2).double()[labels[labels == c]])
                for c in range(2)
            ]
            mean = {name: (parts[0][name] + parts[1][name]) / 2 for name in theta}
            theta = minus(theta, 0.1, mean)
    assert len(rows) == 3


def test_a_batch_asks_every_class_for_its_share_under_one_augmentation(tmp_path: Path) -> None:
    asked: list[tuple[tuple[int, ...], int]] = []
    film = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))

    class Same:
        classes = 2

        def means(self, questions: list[Question], *, size: int) -> list[Weights]:
            asked.extend((question.classes, size) for question in questions)
            answers.extend(question.f(film, torch.eye(2)[:1]) for question in questions)
            return answers[-len(questions) :]

    answers: list[Weights] = []
    list(
        trained(count=1, epochs=1, epoch_steps=3, batch=9).make(tmp_path, lambda *_: Same(), ABOUT)
    )
    assert asked == [((0,), 4), ((1,), 4)] * 3
    assert trained(count=2, epochs=3, epoch_steps=5).releases == 30
    for one, two in zip(answers[::2], answers[1::2], strict=True):
        assert torch.equal(flat(one), flat(two))


def test_an_expert_learns(films: Callable, tmp_path: Path) -> None:
    images, labels = films(30, size=8)
    experts = Experts(F, count=1, epochs=6, epoch_steps=10, batch=30, lr=0.05)
    list(experts.make(tmp_path, lambda _, rng: RealSet(images, labels, 2, rng), ABOUT))
    strangers, truth = films(50, size=8, seed=2)
    losses = [
        float(loss_on(F, theta, strangers, torch.eye(2)[truth]))
        for epoch in range(6)
        for theta in Trajectories(tmp_path, F, ABOUT).draw(
            Epoch(epoch), last_start=epoch, apart=1, like=images
        )
    ]
    assert losses[-1] < 0.5 * losses[0]
    assert losses == sorted(losses, reverse=True)


def Epoch(epoch: int) -> torch.Generator:  # noqa: N802
    """A generator that draws the only expert, and of the epochs up to this one the last."""
    for seed in range(1000):
        rng = torch.Generator().manual_seed(seed)
        torch.randint(1, (), generator=rng)
        if int(torch.randint(epoch + 1, (), generator=rng)) == epoch:
            return torch.Generator().manual_seed(seed)
    raise AssertionError


def test_snapshots_differ_from_epoch_to_epoch_and_from_expert_to_expert(made: Path) -> None:
    rows = [row for path in sorted(made.glob("*.npy")) for row in np.load(path)]
    assert len(rows) == 2 * 4
    for place, row in enumerate(rows):
        assert all(not np.array_equal(row, other) for other in rows[:place])


def test_what_is_missing_or_half_written_is_made_again_to_the_same_bytes(
    made: Path, source: Callable
) -> None:
    before = held(made)
    (made / "expert-0000.npy").unlink()
    (made / ".expert-0000.npy.part").write_bytes(b"half")
    assert list(trained().make(made, source, ABOUT)) == [(0, 1), (0, 2), (0, 3)]
    assert held(made) == before
    assert list(trained().make(made, source, ABOUT)) == []


def test_a_making_that_is_stopped_leaves_only_whole_experts(
    tmp_path: Path, made: Path, source: Callable
) -> None:
    folder = tmp_path / "stopped"
    making = trained().make(folder, source, ABOUT)
    assert [next(making) for _ in range(4)] == [(0, 1), (0, 2), (0, 3), (1, 1)]
    making.close()
    assert [path.name for path in folder.glob("*.npy")] == ["expert-0000.npy"]
    with pytest.raises(ValueError, match=r"expert-0001\.npy: missing; repeat medidd experts"):
        opened(folder)
    list(trained().make(folder, source, ABOUT))
    assert held(folder) == held(made)


def test_more_experts_are_added_to_those_there_are(made: Path, source: Callable) -> None:
    before = held(made)
    assert {number for number, _ in trained(count=3).make(made, source, ABOUT)} == {2}
    after = held(made)
    assert all(after[name] == before[name] for name in before if name.endswith(".npy"))
    assert len(Trajectories(made, F, ABOUT)._opened[1]) == 3


def test_experts_of_another_seed_are_others(made: Path, tmp_path: Path, source: Callable) -> None:
    list(trained(seed=1).make(tmp_path / "other", source, ABOUT))
    ours, theirs = held(made), held(tmp_path / "other")
    assert ours.keys() == theirs.keys()
    assert all(ours[name] != theirs[name] for name in ours)
    assert opened(made) != opened(tmp_path / "other")


def test_half_precision_is_half_as_large_and_close(
    made: Path, tmp_path: Path, source: Callable
) -> None:
    list(trained(dtype="float16").make(tmp_path / "half", source, ABOUT))
    single, half = (
        np.load(folder / "expert-0000.npy").astype(np.float64)
        for folder in (made, tmp_path / "half")
    )
    assert np.load(tmp_path / "half" / "expert-0000.npy").dtype == np.float16
    # Half a unit in the last place, and below 2^-14 half of the least step.
    assert (np.abs(half - single) <= np.abs(single) / 2**11 + 2**-25).all()
    first, last = drawn(tmp_path / "half")
    assert flat(first).dtype == torch.float32
    assert not torch.equal(flat(first), flat(last))


def test_what_is_drawn_are_two_snapshots_of_one_expert_in_the_shape_of_the_network(
    made: Path,
) -> None:
    rows = [np.load(path) for path in sorted(made.glob("*.npy"))]
    shapes = {name: weight.shape for name, weight in F.init(torch.Generator()).items()}
    trajectories, rng = Trajectories(made, F, ABOUT), torch.Generator().manual_seed(0)
    seen = set()
    for _ in range(40):
        pair = trajectories.draw(rng, last_start=1, apart=2, like=torch.empty(0).double())
        assert all({name: w.shape for name, w in theta.items()} == shapes for theta in pair)
        assert all(weight.dtype == torch.double for theta in pair for weight in theta.values())
        first, last = (flat(theta).float().numpy() for theta in pair)
        found = [
            (number, epoch)
            for number, of in enumerate(rows)
            for epoch in range(2)
            if np.array_equal(of[epoch], first) and np.array_equal(of[epoch + 2], last)
        ]
        assert len(found) == 1
        seen.update(found)
    assert seen == {(0, 0), (0, 1), (1, 0), (1, 1)}


def test_too_few_epochs_are_refused_by_both_numbers(made: Path) -> None:
    with pytest.raises(ValueError, match=r"have 3 epochs, and 5 are needed; lower last_start"):
        drawn(made, start=3, apart=2)


def test_they_can_be_named_before_they_are_made(tmp_path: Path, source: Callable) -> None:
    trajectories = Trajectories(tmp_path / "later", F, ABOUT)
    with pytest.raises(ValueError, match=r"later: no experts; train with medidd experts"):
        _ = trajectories.sha256
    list(trained().make(tmp_path / "later", source, ABOUT))
    assert len(trajectories.sha256) == 64


@pytest.mark.parametrize(("name", "value"), [("width", 8), ("films", "77aa"), ("network", "mlp")])
def test_experts_made_for_something_else_are_refused_by_its_name(
    made: Path, name: str, value: str | int
) -> None:
    told = f"experts with {name} {ABOUT[name]} instead of {value}; make experts for this run"
    with pytest.raises(ValueError, match=told):
        opened(made, ABOUT | {name: value})


def test_a_fact_that_nobody_wrote_down_is_refused(made: Path) -> None:
    with pytest.raises(ValueError, match="experts with channels unknown instead of 1"):
        opened(made, ABOUT | {"channels": 1})


def test_experts_of_a_network_of_other_weights_are_refused(made: Path) -> None:
    with pytest.raises(ValueError, match=r"classifier\.bias \[2\] instead of \[3\]"):
        _ = Trajectories(made, convnet(3, 1, 8, width=3), ABOUT).sha256


@pytest.mark.parametrize(
    "other",
    [
        {"epochs": 4},
        {"epoch_steps": 1},
        {"lr": 0.02},
        {"batch": 9},
        {"augment": ()},
        {"seed": 5},
        {"dtype": "float16"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_a_folder_of_experts_trained_otherwise_is_not_added_to(
    made: Path, source: Callable, other: dict[str, Any]
) -> None:
    before = held(made)
    with pytest.raises(ValueError, match=rf"holds experts with {next(iter(other))} .* instead of"):
        next(trained(**other).make(made, source, ABOUT))
    with pytest.raises(ValueError, match="holds experts with films 3f9a instead of 77aa"):
        next(trained().make(made, source, ABOUT | {"films": "77aa"}))
    assert held(made) == before


@pytest.mark.parametrize("kept", [0, 40, 300])
def test_a_truncated_expert_is_refused_by_its_file(made: Path, kept: int) -> None:
    path = made / "expert-0001.npy"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"expert-0001\.npy: damaged; delete it and repeat"):
        opened(made)


def test_an_expert_of_another_shape_or_with_pickled_objects_is_refused(made: Path) -> None:
    for rows in (np.zeros((2, 2), np.float32), np.array([{}], dtype=object)):
        np.save(made / "expert-0001.npy", rows)
        with pytest.raises(ValueError, match=r"expert-0001\.npy: damaged"):
            opened(made)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"sha256": 1}', "\udcff"])
def test_a_damaged_record_is_refused_by_its_file(made: Path, text: str) -> None:
    (made / "experts.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match=r"experts\.json: damaged; delete the folder"):
        opened(made)


def test_a_record_that_was_edited_is_refused(made: Path, source: Callable) -> None:
    record = json.loads((made / "experts.json").read_text())
    record["about"]["films"] = "77aa"
    (made / "experts.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match=r"experts\.json: damaged"):
        opened(made, ABOUT | {"films": "77aa"})
    with pytest.raises(ValueError, match=r"experts\.json: damaged"):
        next(trained().make(made, source, ABOUT))


def test_nobody_but_the_owner_can_read_them(made: Path) -> None:
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in made.iterdir()}
    assert modes == dict.fromkeys(["experts.json", "expert-0000.npy", "expert-0001.npy"], 0o600)


def test_an_expert_that_diverges_is_refused_by_its_number(tmp_path: Path, source: Callable) -> None:
    with pytest.raises(FloatingPointError, match="expert 0 is not finite after epoch 1; lower lr"):
        list(trained(lr=1e30).make(tmp_path, source, ABOUT))
    assert [path.name for path in tmp_path.iterdir()] == ["experts.json"]


@pytest.mark.parametrize("field", ["count", "epochs", "epoch_steps", "batch", "lr"])
def test_a_field_of_zero_is_refused(field: str) -> None:
    with pytest.raises(ValueError, match=rf"\b{field}\b.* must be"):
        trained(**{field: 0})


def test_making_leaves_torchs_own_generator_alone(tmp_path: Path, source: Callable) -> None:
    before = torch.get_rng_state()
    list(trained().make(tmp_path, source, ABOUT))
    assert torch.equal(torch.get_rng_state(), before)
