"""The table: every method x every property. A new method adds itself by its line in METHODS."""

import copy
import dataclasses
import inspect
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from one_by_one import OneByOne
from torch import Tensor

from medidd.architectures import convnet
from medidd.data import Question, RealSet, SyntheticSet
from medidd.distill import (
    Classifies,
    Decodes,
    DrawsImages,
    Method,
    Prepares,
    by_ipc,
    distill,
    learned,
)
from medidd.evaluate import Training, log_probabilities, train
from medidd.features import LowFrequencies
from medidd.fields import fields
from medidd.fields import make as make_method
from medidd.fields import values as values_of
from medidd.methods import METHODS
from medidd.starts import STARTS


@dataclass(frozen=True)
class Toy:
    """How a method is tried.

    Attributes:
        fields: that make it quick; the others stay as they are.
        steps: until it must have learned the toy set.
        ipc: images per class that it needs for that.
        by_itself: judged by its own classifier, for what it learns is for that one alone.
    """

    fields: dict[str, Any] = field(default_factory=dict)
    steps: int = 30
    ipc: int = 1
    by_itself: bool = False


LOOPS = ("epochs", "horizon", "window", "inner_steps", "net_steps", "net_epochs", "online")
"""Fields that say how often something is repeated."""

TOYS = {
    "class-mean": Toy(steps=2),
    "dd": Toy({"epochs": 4, "lr": 0.1, "lr_images": 0.1}),
    "soft-label": Toy({"horizon": 8, "window": 4}),
    "dc": Toy({"inner_steps": 2, "net_epochs": 2}),
    "dsa": Toy({"inner_steps": 2, "net_epochs": 2}),
    "idc": Toy({"inner_steps": 2, "net_steps": 2, "lr_net": 0.05}, steps=60),
    "frepo": Toy({"pool": 2, "online": 2}),
    "label-solve": Toy({"constraint": "none"}, steps=2, ipc=40, by_itself=True),
    "moments": Toy({"refined": 3, "drawn": 8}, steps=2),
    "mtt": Toy({"inner_steps": 4, "last_start": 1, "lr": 0.1}, steps=20),
    "tesla": Toy({"inner_steps": 4, "last_start": 1, "lr": 0.1}, steps=20),
    # It begins with fresh weights, where a user's denoiser was trained.
    "minimax": Toy({"lr": 0.01, "memory": 4, "path": 2, "sampling_steps": 10}, steps=40),
}

DRAWING = [name for name, kind in METHODS.items() if hasattr(kind, "batch")]
"""Those that take less than all there is at once."""

INGREDIENTS = {"network", "kernel", "features", "experts", "denoiser"}
"""Fields that hold an object."""

every_method = pytest.mark.parametrize("name", METHODS)
every_drawing_method = pytest.mark.parametrize("name", DRAWING)


def toy(name: str) -> Toy:
    return TOYS.get(name, Toy())


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def cut(films: Callable) -> Callable[..., tuple[Tensor, Tensor]]:
    """Makes films of any size, where ``films`` makes those of a multiple of four."""

    def make(per_class: int, *, size: int, **kind: Any) -> tuple[Tensor, Tensor]:
        images, labels = films(per_class, size=-(-size // 4) * 4, **kind)
        return images[..., :size, :size].contiguous(), labels

    return make


@pytest.fixture
def built(tmp_path: Path, cut: Callable, fresh: Callable) -> Callable[..., Method]:
    """Makes a method with whatever it takes: a small network, a kernel, experts of short lives."""

    def make(name: str, classes: int = 2, channels: int = 1, size: int = 16, **own: Any) -> Method:
        network = convnet(classes, channels, size, width=8)

        def experts() -> Any:
            from medidd.experts.trajectories import Experts, Trajectories

            images, labels = cut(6, classes=classes, channels=channels, size=size)
            folder = tmp_path / f"{classes}-{channels}-{size}"
            training = Experts(network, count=2, epochs=3, epoch_steps=8, lr=0.05)
            list(training.make(folder, lambda _, rng: RealSet(images, labels, classes, rng), {}))
            return Trajectories(folder, network, {})

        def kernel() -> Any:
            from medidd.kernels import FCKernel

            return FCKernel()

        makers = {
            "network": lambda: network,
            "experts": experts,
            "kernel": kernel,
            "features": lambda: LowFrequencies(30),
            "denoiser": lambda: fresh(classes, channels, size),
        }
        kind = METHODS[name]
        taken = {of: makers[of]() for of in fields(kind) if of in makers}
        method: Method = make_method(kind, {**taken, **toy(name).fields, **own})
        return method

    return make


@pytest.fixture
def begun(started: Callable) -> Callable[..., SyntheticSet]:
    """Makes S as a method begins with it, from noise."""

    def make(method: Method, films: Tensor, *, classes: int = 2, ipc: int = 1) -> SyntheticSet:
        many = ipc * (method.shown if isinstance(method, Decodes) else 1)
        s: SyntheticSet = started(films, classes=classes, ipc=many)
        s = method.encode(s) if isinstance(method, Decodes) else s
        return method.prepare(s) if isinstance(method, Prepares) else s

    return make


@pytest.fixture
def distilled(built: Callable, begun: Callable) -> Callable[..., tuple[SyntheticSet, list[float]]]:
    """Runs a method by its name; gives S as it is learned, and the losses."""

    def run(
        name: str, images: Tensor, labels: Tensor, *, steps: int, ipc: int = 1, seed: int = 0
    ) -> tuple[SyntheticSet, list[float]]:
        classes, channels, size = int(labels.max()) + 1, images.shape[1], images.shape[2]
        method = built(name, classes, channels, size)
        s, rng = begun(method, images, classes=classes, ipc=ipc), seeded(seed)
        real = RealSet(images, labels, classes, rng)
        return s, list(distill(method, s, real, steps=steps, rng=rng))

    return run


def copied(s: SyntheticSet) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in s.tensors().items()}


def released(method: Method, s: SyntheticSet) -> SyntheticSet:
    """S as anybody gets it."""
    s = SyntheticSet.of(copied(s))
    return method.decode(s) if isinstance(method, Decodes) else s


# What a method must do.


@every_method
def test_the_loss_falls(name: str, films: Callable, distilled: Callable) -> None:
    steps = toy(name).steps
    _, losses = distilled(name, *films(20), steps=steps, ipc=toy(name).ipc)
    part = max(steps // 5, 1)
    assert sum(losses[-part:]) < 0.8 * sum(losses[:part])


@every_method
def test_what_is_trained_on_s_beats_what_is_trained_on_noise(
    name: str, films: Callable, built: Callable, begun: Callable, distilled: Callable
) -> None:
    images, labels = films(20, noise=1.0)
    strangers, truth = films(100, noise=1.0, seed=2)
    method = built(name)

    def accuracy(s: SyntheticSet, seed: int) -> float:
        if toy(name).by_itself:
            scores = method.classifier(s, seeded(seed))(strangers)
        else:
            f, shown = convnet(2, 1, 16, width=8), released(method, s)
            theta = train(f, shown.images, shown.labels, Training(steps=40), seeded(seed))
            scores = log_probabilities(f, theta, strangers)
        return float((scores.argmax(1) == truth).float().mean())

    learned_set, _ = distilled(name, images, labels, steps=toy(name).steps, ipc=toy(name).ipc)
    start = begun(method, images, ipc=toy(name).ipc)
    ours, chance = ([accuracy(s, seed) for seed in range(3)] for s in (learned_set, start))
    assert min(ours) > max(chance)
    assert min(ours) > 0.85


@every_method
def test_the_same_seed_gives_the_same_bytes(
    name: str, films: Callable, distilled: Callable
) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one, losses = distilled(name, *films(4), steps=3)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    two, again = distilled(name, *films(4), steps=3)
    assert losses == again
    for part in one.tensors():
        assert torch.equal(one.tensors()[part], two.tensors()[part])


@every_drawing_method
def test_another_seed_gives_other_bytes(
    name: str, films: Callable, built: Callable, begun: Callable
) -> None:
    images, labels = films(4)
    # A batch smaller than a class, for a method of kernels has nothing else to draw.
    method, ends = built(name, batch=3), []
    for seed in range(2):
        s, rng = begun(method, images), seeded(seed)
        list(distill(method, s, RealSet(images, labels, 2, rng), steps=3, rng=rng))
        ends.append(copied(s))
    assert any(not torch.equal(ends[0][part], ends[1][part]) for part in ends[0])


@every_method
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("classes", "channels", "ipc", "size"), [(2, 1, 3, 16), (3, 3, 1, 33), (2, 3, 1, 16)]
)
def test_any_number_of_classes_channels_and_images_of_any_size_in_either_precision(
    name: str,
    cut: Callable,
    built: Callable,
    begun: Callable,
    distilled: Callable,
    dtype: torch.dtype,
    classes: int,
    channels: int,
    ipc: int,
    size: int,
) -> None:
    images, labels = cut(3, classes=classes, channels=channels, size=size, dtype=dtype)
    s, losses = distilled(name, images, labels, steps=classes, ipc=ipc)
    assert torch.tensor(losses).isfinite().all()
    method = built(name, classes, channels, size)
    start = begun(method, images, classes=classes, ipc=ipc)
    held = {id(tensor) for tensor in learned(method.optimizer(s))}
    moved = 0
    for part, tensor in s.tensors().items():
        assert tensor.dtype == dtype
        assert tensor.isfinite().all()
        moved += id(tensor) in held and not torch.equal(tensor, start.tensors()[part])
    assert moved > 0
    if id(s.images) in held:
        assert (s.images.detach() - start.images).flatten(1).norm(dim=1).min() > 0
    shown = released(method, s)
    many = ipc * (method.shown if isinstance(method, Decodes) else 1)
    assert shown.images.shape == (classes * many, channels, size, size)
    assert shown.labels.shape == (classes * many, classes)


@every_method
def test_one_real_image_of_each_class_is_enough(
    name: str, films: Callable, built: Callable, begun: Callable
) -> None:
    images, labels = films(1)
    method = built(name, **({"batch": 1} if name in DRAWING else {}))
    s = begun(method, images)
    losses = list(distill(method, s, RealSet(images, labels, 2, seeded()), steps=3, rng=seeded()))
    assert torch.tensor(losses).isfinite().all()
    assert all(tensor.isfinite().all() for tensor in s.tensors().values())


@every_method
def test_two_threads_do_as_well(
    name: str, films: Callable, built: Callable, begun: Callable
) -> None:
    images, labels = films(2)
    # As little as can be: on a busy machine two threads can be many times slower than one.
    method = built(name, **{of: 1 for of in LOOPS if hasattr(METHODS[name], of)})
    s = begun(method, images)
    torch.set_num_threads(2)
    try:
        run = distill(method, s, RealSet(images, labels, 2, seeded()), steps=1, rng=seeded())
        (loss,) = run
    finally:
        torch.set_num_threads(1)
    assert math.isfinite(loss)
    assert all(tensor.isfinite().all() for tensor in s.tensors().values())


@every_method
def test_only_what_the_optimizer_holds_is_changed(
    name: str, films: Callable, built: Callable, begun: Callable
) -> None:
    images, labels = films(4)
    films_before, method = images.clone(), built(name)
    s = begun(method, images, ipc=2)
    # Labels to learn from that no projection would leave as they are.
    s.labels = torch.tensor([[0.9, 0.3], [0.8, 0.1], [0.0, 1.2], [0.4, 0.7]])
    before, tensors = copied(s), s.tensors()
    held = {id(tensor) for tensor in learned(method.optimizer(s))}
    list(distill(method, s, RealSet(images, labels, 2, seeded()), steps=3, rng=seeded()))
    for part, tensor in s.tensors().items():
        assert tensor is tensors[part]
        assert torch.equal(tensor, before[part]) == (id(tensor) not in held)
    assert torch.equal(images, films_before)


@every_method
def test_a_run_that_was_stopped_where_a_path_ends_equals_one_that_was_not(
    name: str, films: Callable, built: Callable, begun: Callable
) -> None:
    images, labels = films(6)
    # A batch is a draw of half a class.
    method = built(name, **({"batch": 3} if name in DRAWING else {}))
    steps, ends = 5, []
    rng = seeded()
    whole = begun(method, images)
    real = RealSet(images, labels, 2, rng)
    losses = list(distill(method, whole, real, steps=steps, rng=rng, between=ends.append))
    assert ends[-1] == steps
    assert len(ends) > 1
    for end in ends[:-1]:
        rng = seeded()
        s = begun(method, images)
        optimizer = method.optimizer(s)
        saved: dict[str, Any] = {}

        def save(
            taken: int,
            s: SyntheticSet = s,
            optimizer: torch.optim.Optimizer = optimizer,
            rng: torch.Generator = rng,
            saved: dict[str, Any] = saved,
            end: int = end,
        ) -> None:
            if taken == end:
                saved["s"] = copied(s)
                saved["optimizer"] = copy.deepcopy(optimizer.state_dict())
                saved["rng"] = rng.get_state().clone()

        real = RealSet(images, labels, 2, rng)
        run = distill(method, s, real, steps=end, rng=rng, optimizer=optimizer, between=save)
        before = list(run)

        rng = torch.Generator()
        rng.set_state(saved["rng"])
        s = SyntheticSet.of(saved["s"])
        real = RealSet(images, labels, 2, rng)
        optimizer = method.optimizer(s)
        optimizer.load_state_dict(saved["optimizer"])
        left = steps - end
        after = list(distill(method, s, real, steps=left, rng=rng, optimizer=optimizer))
        assert before + after == losses
        for part, tensor in s.tensors().items():
            assert torch.equal(tensor, whole.tensors()[part])


@pytest.mark.parametrize(
    ("name", "own"),
    [(name, {}) for name in METHODS]
    + [(name, kind.private) for name, kind in METHODS.items() if kind.private],
)
def test_a_source_that_asks_image_by_image_gives_the_same_gradient(
    name: str, own: dict[str, Any], films: Callable, built: Callable, begun: Callable
) -> None:
    # What is asked about one drawn image of a class only has one answer if the class has no other.
    each = 1 if name == "minimax" else 5
    images, labels = films(each, classes=3, dtype=torch.double)
    private = OneByOne(images, labels)
    method = built(name, 3, **own)
    gradients = []
    for real in (RealSet(images, labels, 3, seeded(9)), private):
        s, rng = begun(method, images, classes=3, ipc=2), seeded(5)
        held = learned(method.optimizer(s))
        for tensor in held:
            tensor.requires_grad_()
        # Augmentations are drawn by the method, not by the source: several, so that some matter.
        for _ in range(3):
            for loss in islice(method.losses(s, real, rng), 6):
                gradients.append(torch.autograd.grad(loss, held))  # noqa: PERF401
    flat = torch.cat([g.flatten() for grads in gradients for g in grads])
    plain, one_by_one = flat.chunk(2)
    # Whoever matches experts has asked through them.
    assert (private.asked > 0) != ("experts" in fields(type(method)))
    assert plain.norm() > 0
    assert (plain - one_by_one).norm() < 1e-5 * plain.norm()


class Counting(RealSet):
    """Counts how often it is asked."""

    asked = 0

    def means(self, questions: list[Question], *, size: int) -> list:
        self.asked += 1
        return super().means(questions, size=size)

    def balanced(self, f: Callable, *, size: int) -> Any:
        self.asked += 1
        return super().balanced(f, size=size)


PATHS: dict[str, list[dict[str, Any]]] = {
    # Four paths of six updates, and a last one that ends in the middle of its third answer.
    "dc": [{}, {"steps": 29, "inner_steps": 3, "repeats": 2, "net_epochs": 1, "sketch": 16}],
    "dsa": [{}, {"steps": 29, "inner_steps": 3, "repeats": 2, "net_epochs": 1, "sketch": 16}],
    "dm": [{}, {"bank": 3}],
    # Paths of 3 rounds of 3 classes, then of 2 updates each; the last stops in every place.
    "idc": [{"steps": steps, "inner_steps": 3} for steps in (9, 18, 19, 20, 22, 25, 26)]
    + [{"steps": 44, "inner_steps": 3, "repeats": 2, "sketch": 8}],
    # Two paths and a half, two whole ones, and less than one.
    "minimax": [{}, {"steps": 4}, {"steps": 3, "path": 8}],
}


@pytest.mark.parametrize(
    ("name", "own"), [(name, own) for name in METHODS for own in PATHS.get(name, [{}])]
)
def test_a_run_asks_as_often_as_the_method_says(
    name: str, own: dict[str, Any], films: Callable, built: Callable, begun: Callable
) -> None:
    images, labels = films(2, classes=3)
    method = built(name, 3, **{"steps": 5, **own})
    s, rng = begun(method, images, classes=3), seeded()
    real = Counting(images, labels, 3, rng)
    list(distill(method, s, real, steps=method.steps, rng=rng))
    assert real.asked == method.releases(3)
    assert (real.asked > 0) != ("experts" in fields(type(method)))


@every_method
def test_a_classifier_gives_probabilities_that_follow_from_its_generator(
    name: str, films: Callable, built: Callable, begun: Callable
) -> None:
    method = built(name, 3)
    if not isinstance(method, Classifies):
        assert not hasattr(method, "classifier")
        return
    images, _ = films(4, classes=3)
    s = begun(method, images, classes=3)
    before = copied(s)
    one, two = (method.classifier(s, seeded(1))(images) for _ in range(2))
    assert one.shape == (12, 3)
    assert one.min() >= 0
    torch.testing.assert_close(one.sum(1), torch.ones_like(one[:, 0]))
    assert torch.equal(one, two)
    assert all(torch.equal(tensor, before[part]) for part, tensor in s.tensors().items())
    assert method.classifies_by


@every_method
def test_whoever_learns_a_model_says_that_images_start_from_it(
    name: str, films: Callable, built: Callable, begun: Callable
) -> None:
    method = built(name)
    s = begun(method, films(2)[0])
    assert bool(s.model) == isinstance(method, DrawsImages) == hasattr(method, "origin")
    if isinstance(method, DrawsImages):
        assert method.origin not in {"noise", *STARTS}


# What a method's file must say.


@every_method
def test_the_presets_of_the_authors_name_fields_and_make_a_method(
    name: str, built: Callable
) -> None:
    kind = METHODS[name]
    known = fields(kind)
    assert kind.paper
    for ipc, values in kind.paper.items():
        assert ipc >= 1
        assert set(values) <= set(known) - INGREDIENTS
        method = built(name, **by_ipc(kind.paper, ipc))
        assert method.steps >= 1
        for of, value in values.items():
            assert values_of(method)[of] == value
            default = known[of].default
            assert default is None or isinstance(value, type(default))


@every_method
def test_the_preset_for_a_private_source_names_fields_and_asks_seldom(
    name: str, built: Callable
) -> None:
    kind = METHODS[name]
    known = fields(kind)
    assert set(kind.private) <= set(known) - INGREDIENTS
    method = built(name, **kind.private)
    for of, value in kind.private.items():
        assert values_of(method)[of] == value
        assert isinstance(value, type(known[of].default))
    assert method.releases(2) <= 50


@every_method
def test_a_file_says_whose_method_it_is_what_it_learns_and_what_it_costs(name: str) -> None:
    title, source, costs, *prose = sys.modules[METHODS[name].__module__].__doc__.split("\n\n")
    assert title.endswith(".")
    assert "\n" not in title
    assert "arXiv:" in source
    assert costs.startswith("Learns: ")
    assert "\nCosts: " in costs
    text = " ".join(prose)
    assert "authors" in text
    assert "Ours: " in text


@every_method
def test_every_field_and_no_other_is_explained(name: str) -> None:
    kind = METHODS[name]
    attributes = inspect.getdoc(kind).split("Attributes:\n")[1].splitlines()
    explained = [
        line.strip().split(":")[0] for line in attributes if line[4:5].strip() and ":" in line
    ]
    assert explained == [of.name for of in dataclasses.fields(kind)]


@every_method
def test_a_method_is_frozen_and_can_do_without_settings(name: str, built: Callable) -> None:
    method = built(name)
    with pytest.raises(dataclasses.FrozenInstanceError):
        method.steps = 1
    needed = {
        of.name
        for of in fields(METHODS[name]).values()
        if of.default is dataclasses.MISSING and of.default_factory is dataclasses.MISSING
    }
    assert needed <= INGREDIENTS
    assert fields(METHODS[name]).keys() & INGREDIENTS == needed
