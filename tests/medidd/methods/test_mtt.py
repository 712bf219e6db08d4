"""Trajectory matching beside plain autograd through the whole student."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from one_expert import Expert, seeded, synthetic
from torch import Tensor

from medidd.architectures import convnet, mlp
from medidd.data import NORMALIZATION, RealSet, SyntheticSet
from medidd.descent import descend
from medidd.distill import distill
from medidd.experts.trajectories import Experts, Trajectories
from medidd.methods.mtt import MTT, way
from medidd.network import Network, Weights

F = convnet(2, 1, 8, width=3, depth=1)


def strangers(f: Network = F) -> Expert:
    """An expert from somewhere to somewhere else."""
    start = f.init(seeded(2), like=torch.empty(0).double())
    rng = seeded(3)
    steps = {name: 0.1 * torch.randn(w.shape, generator=rng).double() for name, w in start.items()}
    return Expert(start, {name: start[name] + steps[name] for name in start})


def test_the_gradient_agrees_with_finite_differences() -> None:
    f = mlp(2, 1, 4, width=3)
    expert, s = strangers(f), synthetic(size=4)
    method = MTT(f, expert, inner_steps=3, batch=3, augment=("brightness",))

    class Loss(torch.autograd.Function):
        @staticmethod
        def forward(ctx, images: Tensor) -> Tensor:
            at = replace(s, images=images.detach())
            with torch.enable_grad():
                at.images.requires_grad_()
                loss = next(method.losses(at, None, seeded(4)))
                ctx.save_for_backward(*torch.autograd.grad(loss, [at.images]))
            return loss.detach()

        @staticmethod
        def backward(ctx, upstream: Tensor) -> Tensor:
            (grad,) = ctx.saved_tensors
            return upstream * grad

    assert torch.autograd.gradcheck(Loss.apply, (s.images,))


def test_the_loss_is_one_where_the_student_stays() -> None:
    s, method = synthetic(), MTT(F, strangers(), inner_steps=3)
    for log_lr in (-700.0, -60.0):
        still = replace(s, log_lr=torch.tensor(log_lr, dtype=torch.double))
        assert next(method.losses(still, None, seeded())).item() == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("inner_steps", [1, 3])
def test_the_loss_is_zero_where_s_reproduces_the_expert(inner_steps: int) -> None:
    s = synthetic()
    start = strangers().start
    target = descend(F, start, s.images, s.labels, lr=s.log_lr.exp().detach(), steps=inner_steps)
    method = MTT(F, Expert(start, target), inner_steps=inner_steps, augment=())
    loss = next(method.losses(s, None, seeded()))
    assert loss.item() == pytest.approx(0, abs=1e-24)
    assert all(grad.norm() < 1e-9 for grad in torch.autograd.grad(loss, [s.images, s.log_lr]))


def test_images_that_reproduce_an_expert_are_found_again() -> None:
    s = synthetic(ipc=1, lr=0.5)
    start = strangers().start
    target = descend(F, start, s.images, s.labels, lr=0.5, steps=2)
    method = MTT(
        F, Expert(start, target), inner_steps=2, lr=0.3, lr_images=2.0, lr_lr=0.05, augment=()
    )
    begun = torch.zeros_like(s.images.detach())
    begun += 0.1 * torch.randn(begun.shape, generator=seeded(9), dtype=begun.dtype)
    student = method.prepare(replace(s, images=begun, log_lr=s.log_lr.detach().clone()))
    losses = list(distill(method, student, None, steps=100, rng=seeded()))
    assert losses[0] > 0.3
    assert losses[-1] < 0.1
    assert student.log_lr.exp().item() > 0


def test_a_student_step_has_an_augmentation_for_each_of_its_images(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("medidd.descent.spare", lambda _: 0)  # so that the way back sees S again
    s = synthetic()
    s = replace(s, images=s.images[:1].detach().repeat(4, 1, 1, 1))
    seen: list[Tensor] = []

    def watched(theta: Weights, x: Tensor) -> Tensor:
        seen.append(x.detach())
        return F(theta, x)

    method = MTT(watched, strangers(), inner_steps=3, augment=("brightness",))
    next(method.losses(s, None, seeded()))
    forward = seen[:3]
    assert all(len(x.unique(dim=0)) == 4 for x in forward)
    assert not torch.equal(forward[0], forward[1])
    back = seen[3:]
    assert all(torch.equal(a, b) for a, b in zip(forward, back[::-1], strict=True))


def test_an_expert_that_did_not_move_is_refused() -> None:
    start = strangers().start
    with pytest.raises(ValueError, match="did not move between two of its epochs; make experts"):
        next(MTT(F, Expert(start, start)).losses(synthetic(), None, seeded()))


@pytest.mark.parametrize(
    ("field", "value"),
    [("inner_steps", 0), ("expert_epochs", 0), ("batch", 0), ("last_start", -1), ("lr", 0.0)],
)
def test_a_field_that_makes_no_sense_is_refused(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"\b{field}\b.* must be"):
        MTT(F, strangers(), **{field: value})


def test_s_begins_with_the_step_size_asked_for_and_only_it_and_the_images_are_learned() -> None:
    method = MTT(F, strangers(), inner_steps=2, lr=0.03, lr_images=5.0, lr_lr=0.2)
    s = method.prepare(synthetic())
    assert s.log_lr.exp().item() == pytest.approx(0.03)
    images, log_lr = method.optimizer(s).param_groups
    assert (images["params"], images["lr"]) == ([s.images], 5.0)
    assert (log_lr["params"], log_lr["lr"]) == ([s.log_lr], 0.2)
    assert images["momentum"] == log_lr["momentum"] == 0.5


def test_the_way_of_the_step_size_is_bounded_and_ends_where_the_loss_is_least() -> None:
    expert = strangers()
    went = {name: expert.target[name] - weight for name, weight in expert.start.items()}
    aside = {name: 0.1 * torch.randn(w.shape, generator=seeded(4)) for name, w in went.items()}

    def at(share: float) -> Weights:
        """Where a student ends that goes almost the expert's way."""
        return {n: w + share * (went[n] + aside[n]) for n, w in expert.start.items()}

    def loss(log_share: Tensor) -> Tensor:
        off = {n: w - expert.target[n] for n, w in at(log_share.exp()).items()}
        return torch.stack([(gap * gap).sum() for gap in off.values()]).sum()

    for share in (1e-6, 0.3, 1.0, 3.0, 1e6):
        step = way(expert.start, at(share), expert.target)
        slope = torch.autograd.grad(loss(log := torch.tensor(share).log().requires_grad_()), log)[0]
        assert step.abs() <= 0.5
        assert step.sign() == slope.sign()
    log = torch.tensor(30.0, dtype=torch.double).log()
    for _ in range(60):
        log -= way(expert.start, at(log.exp()), expert.target)
    at_end = log.clone().requires_grad_()
    assert torch.autograd.grad(loss(at_end), at_end)[0].abs() < 1e-9


def test_a_student_begins_no_faster_than_its_expert() -> None:
    s = synthetic()
    for inner_steps in (2, 8):
        slow = MTT(F, strangers(), inner_steps=inner_steps, lr=1e-4, augment=())
        assert slow.prepare(s).log_lr.exp().item() == pytest.approx(1e-4)
        hasty = replace(slow, lr=1e3)
        prepared = hasty.prepare(s)
        loss = next(hasty.losses(prepared, None, seeded())).item()
        assert prepared.log_lr.exp().item() < 10
        assert loss < 5


@pytest.fixture(scope="module")
def experts(tmp_path_factory: pytest.TempPathFactory) -> Trajectories:
    """Experts of two templates under noise."""
    images, labels = toy()
    folder: Path = tmp_path_factory.mktemp("experts")
    how = Experts(F, count=3, epochs=5, epoch_steps=10, batch=20, lr=0.03)
    list(how.make(folder, lambda _, rng: RealSet(images, labels, 2, rng), {}))
    return Trajectories(folder, F, {})


def toy(seed: int = 1) -> tuple[Tensor, Tensor]:
    templates = torch.randn(2, 1, 2, 2, generator=seeded(7)).repeat_interleave(4, 2)
    labels = torch.arange(2).repeat_interleave(20)
    grain = torch.randn(40, 1, 8, 8, generator=seeded(seed))
    return (templates.repeat_interleave(4, 3)[labels] + 0.5 * grain).clamp(-2, 2), labels


def distilled(experts: Trajectories, steps: int, seed: int = 0) -> tuple[SyntheticSet, list[float]]:
    rng = seeded(seed)
    method = MTT(F, experts, inner_steps=5, expert_epochs=2, last_start=3, lr=0.05)
    noise = torch.randn(2, 1, 8, 8, generator=rng).clamp(-2, 2)
    s = method.prepare(SyntheticSet(noise, torch.eye(2), torch.tensor(0.0)))
    return s, list(distill(method, s, None, steps=steps, rng=rng))


def test_the_loss_falls_and_what_is_learned_teaches(experts: Trajectories) -> None:
    s, losses = distilled(experts, steps=60)
    assert sum(losses[-10:]) < 0.7 * sum(losses[:10])
    pixels = NORMALIZATION.display(s.images.detach())
    assert pixels.min() >= 0
    assert pixels.max() <= 1
    strangers, truth = toy(seed=2)
    theta = F.init(seeded(5))
    theta = descend(F, theta, s.images, s.labels, lr=0.05, steps=60)
    assert (F(theta, strangers).argmax(1) == truth).float().mean() > 0.9


def test_the_same_seed_gives_the_same_bytes(experts: Trajectories) -> None:
    (one, losses), (two, again) = (distilled(experts, steps=4) for _ in range(2))
    other, _ = distilled(experts, steps=4, seed=1)
    assert losses == again
    assert torch.equal(one.images, two.images)
    assert torch.equal(one.log_lr, two.log_lr)
    assert not torch.equal(one.images, other.images)


def test_longer_segments_than_the_experts_have_are_refused(experts: Trajectories) -> None:
    with pytest.raises(ValueError, match="have 5 epochs, and 6 are needed"):
        next(MTT(F, experts, last_start=4).losses(synthetic(), None, seeded()))


@pytest.mark.parametrize("preset", MTT.paper.values(), ids=MTT.paper)
def test_the_papers_values_are_fields(preset: dict) -> None:
    method = MTT(F, strangers(), **preset)
    assert method.last_start + method.expert_epochs <= 50
