"""The truncated gradient beside its formula, and beside the exact one."""

from dataclasses import replace

import pytest
import torch
from one_expert import Expert, seeded, synthetic
from torch import Tensor
from torch.nn.functional import cosine_similarity, cross_entropy

from medidd.architectures import convnet
from medidd.augment import draw
from medidd.data import SyntheticSet
from medidd.descent import batches, descend
from medidd.distill import distill
from medidd.fields import make
from medidd.methods.mtt import MTT
from medidd.methods.tesla import TESLA
from medidd.network import Weights

F = convnet(2, 1, 8, width=3)


def expert() -> Expert:
    """Goes where other images lead."""
    start = F.init(seeded(2), like=torch.empty(0).double())
    x = torch.randn(6, 1, 8, 8, generator=seeded(3), dtype=torch.double)
    y = torch.eye(2, dtype=torch.double).repeat_interleave(3, 0)
    return Expert(start, descend(F, start, x, y, lr=0.1, steps=8))


def slopes(method: MTT | TESLA, s: SyntheticSet) -> tuple[float, Tensor, Tensor]:
    loss = next(method.losses(s, None, seeded()))
    images, log_lr = torch.autograd.grad(loss, [s.images, s.log_lr])
    return loss.item(), images, log_lr


def both(mtt: MTT, s: SyntheticSet) -> tuple[tuple[float, Tensor, Tensor], ...]:
    """The exact gradient and the truncated one."""
    return slopes(mtt, s), slopes(TESLA(mtt), s)


def test_the_gradient_is_the_formula_of_the_paper_with_its_factor_of_two() -> None:
    s, e, rng = synthetic(ipc=3), expert(), seeded()
    names, alpha = list(e.start), s.log_lr.exp().detach()
    start, target = (torch.cat([w[n].flatten() for n in names]) for w in (e.start, e.target))
    shapes = [e.start[name].shape for name in names]
    seen, rows = [], batches(6, 4, rng)
    for _ in range(5):
        batch = next(rows)
        seen.append((batch, draw(rng, ("brightness", "scale"), images=len(batch))))

    def weights(row: Tensor) -> Weights:
        parts = row.split([shape.numel() for shape in shapes])
        return {n: p.view(shape) for n, p, shape in zip(names, parts, shapes, strict=True)}

    def g(theta: Tensor, x: Tensor, step: int) -> Tensor:
        batch, omega = seen[step]
        loss = cross_entropy(F(weights(theta), omega(x[batch])), s.labels[batch])
        return torch.autograd.grad(loss, theta, create_graph=True)[0]

    # The first pass, of which only numbers are kept.
    at, total = [start], torch.zeros_like(start)
    for step in range(5):
        total = total + g(at[-1].clone().requires_grad_(), s.images, step).detach()
        at.append(start - alpha * total)
    went = ((start - target) ** 2).sum()
    along = 2 * (alpha * (target - start) + alpha**2 * total) / went
    # The second, at weights that are held fixed.
    x = s.images.detach().requires_grad_()
    inner = sum(along @ g(at[step].clone().requires_grad_(), x, step) for step in range(5))
    images = torch.autograd.grad(inner, x)[0]
    moved = -alpha * total
    off = start + moved - target
    value = (off**2).sum() / went
    of_log_alpha = (off @ moved) / ((off**2).sum() + (moved**2).sum())

    method = TESLA(MTT(F, e, inner_steps=5, batch=4, augment=("brightness", "scale")))
    loss, mine, log_lr = slopes(method, s)
    assert loss == pytest.approx(value.item(), rel=1e-10)
    assert images.norm() > 0
    assert (mine - images).norm() <= 1e-8 * images.norm()
    assert log_lr.item() == pytest.approx(of_log_alpha.item(), rel=1e-8)


def test_for_one_student_step_it_is_the_gradient_of_mtt() -> None:
    s, e = synthetic(ipc=3), expert()
    exact, ours = both(MTT(F, e, inner_steps=1), s)
    assert ours[0] == exact[0]
    assert exact[1].norm() > 0
    torch.testing.assert_close(ours[1:], exact[1:])


def test_for_more_it_is_not_and_less_so_the_longer_the_student_goes() -> None:
    s, e = synthetic(ipc=3), expert()
    cosines = []
    for inner_steps in (2, 10, 40):
        exact, ours = both(MTT(F, e, inner_steps=inner_steps), s)
        assert ours[0] == exact[0]
        assert (ours[1] - exact[1]).norm() > 1e-3 * exact[1].norm()
        cosines.append(cosine_similarity(ours[1].flatten(), exact[1].flatten(), dim=0).item())
    assert cosines == sorted(cosines, reverse=True)
    assert cosines[0] > 0.95
    assert cosines[-1] < 0.95


def test_the_loss_falls_and_the_same_seed_gives_the_same_bytes() -> None:
    runs = []
    for seed in (0, 0, 1):
        method = TESLA(MTT(F, expert(), inner_steps=8, lr=0.1, lr_images=5.0))
        s = synthetic(ipc=3)
        s = method.prepare(replace(s, images=s.images.detach().clamp(-2, 2)))
        losses = list(distill(method, s, None, steps=16, rng=seeded(seed)))
        assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
        runs.append((losses, s))
    assert runs[0][0] == runs[1][0]
    assert torch.equal(runs[0][1].images, runs[1][1].images)
    assert runs[0][0] != runs[2][0]


@pytest.mark.parametrize("inner_steps", [0, -1])
def test_a_student_that_takes_no_step_is_refused(inner_steps: int) -> None:
    with pytest.raises(ValueError, match=r"inner_steps, .* must be 1 or more"):
        make(TESLA, {"network": F, "experts": expert(), "inner_steps": inner_steps})


@pytest.mark.parametrize("preset", TESLA.paper.values(), ids=TESLA.paper)
def test_the_papers_values_are_fields(preset: dict) -> None:
    method = make(TESLA, {"network": F, "experts": expert(), **preset})
    assert method.mtt.last_start + method.mtt.expert_epochs <= 50
