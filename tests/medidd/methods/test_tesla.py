"""The truncated gradient beside its formula, and beside the exact one."""

from dataclasses import replace

import pytest
import torch
from one_expert import Expert, seeded, synthetic
from torch import Tensor
from torch.nn.functional import cosine_similarity

from medidd.architectures import convnet
from medidd.data import SyntheticSet
from medidd.descent import descend
from medidd.distill import distill
from medidd.fields import make
from medidd.methods.mtt import MTT
from medidd.methods.tesla import TESLA

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
