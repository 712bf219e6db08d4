"""Minimax diffusion: what is added to its loss, its memories, and what it draws."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import cosine_similarity

from medidd.data import Normalization, RealSet, SyntheticSet
from medidd.denoisers.denoiser import learned
from medidd.denoisers.trained import Trained
from medidd.distill import distill
from medidd.methods.minimax import Memories, Minimax


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.double)


@pytest.fixture(scope="module")
def method(fresh: Callable) -> Minimax:
    return Minimax(fresh(size=8), memory=5, path=3, batch=20, lambda_r=0.3, lambda_d=0.7)


# The loss.


def test_what_is_added_to_the_loss_are_the_least_and_the_greatest_cosine_of_the_class(
    method: Minimax,
) -> None:
    predicted, labels = drawn(6, 4, 3, 3), torch.tensor([0, 2, 1, 0, 2, 2])
    real, pseudo = drawn(3 * 5, 36, seed=1), drawn(3 * 5, 36, seed=2)
    memories = Memories.empty(3).with_newer(real, pseudo, 5)
    added = method.terms(memories, predicted, labels)
    for z, label, term in zip(predicted, labels.tolist(), added, strict=True):
        own = range(5 * label, 5 * (label + 1))
        least = min(float(cosine_similarity(z.flatten(), real[row], dim=0)) for row in own)
        most = max(float(cosine_similarity(z.flatten(), pseudo[row], dim=0)) for row in own)
        assert float(term) == pytest.approx(0.3 * (1 - least) + 0.7 * most, abs=1e-12)


@given(
    classes=st.integers(1, 3),
    counts=st.lists(st.integers(1, 7), min_size=1, max_size=4),
    most=st.integers(1, 9),
)
def test_memories_are_queues_that_the_oldest_leave(
    classes: int, counts: list[int], most: int
) -> None:
    memories, lists = Memories.empty(classes), [[[], []] for _ in range(classes)]
    for number, count in enumerate(counts):
        new = [drawn(classes * count, 6, seed=2 * number + kind) for kind in range(2)]
        memories = memories.with_newer(*new, most)
        for label, kinds in enumerate(lists):
            for kind, held in enumerate(kinds):
                for row in new[kind][label * count : (label + 1) * count]:
                    held.append(row / row.norm())
                    if len(held) > most:
                        held.pop(0)
    for label, (real, pseudo) in enumerate(lists):
        torch.testing.assert_close(memories.real[label], torch.stack(real))
        torch.testing.assert_close(memories.pseudo[label], torch.stack(pseudo))


# What is learned, and what is released.


def noises(scale: float = 1.0, ipc: int = 2) -> SyntheticSet:
    labels = torch.eye(2).repeat_interleave(ipc, 0)
    return SyntheticSet(scale * drawn(2 * ipc, 1, 8, 8).float(), labels, torch.zeros(()))


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (0.01, 0.0), (30.0, 0.0), (1.0, 7.0)])
def test_a_start_becomes_noise_of_mean_0_and_size_1_whatever_its_scale(
    method: Minimax, scale: float, shift: float
) -> None:
    start = noises(scale)
    start.images += shift
    noise = method.encode(start).images
    torch.testing.assert_close(noise, method.encode(noises()).images, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(noise.mean((1, 2, 3)), torch.zeros(4), rtol=0, atol=1e-5)
    torch.testing.assert_close(noise.square().mean((1, 2, 3)), torch.ones(4))


def test_what_is_learned_is_a_copy_of_the_weights_of_the_denoiser(
    method: Minimax, films: Callable
) -> None:
    before = {name: weight.clone() for name, weight in method.denoiser.theta.items()}
    s, rng = method.encode(noises()), seeded()
    assert all(torch.equal(s.model[name], weight) for name, weight in before.items())
    list(distill(method, s, RealSet(*films(4, size=8), 2, rng), steps=3, rng=rng))
    assert not all(torch.equal(s.model[name], weight) for name, weight in before.items())
    assert all(torch.equal(method.denoiser.theta[name], w) for name, w in before.items())


def test_without_steps_images_are_drawn_from_the_denoiser_as_it_is(
    of_gaussians: Trained, films: Callable
) -> None:
    plain = Minimax(of_gaussians, steps=0, guidance=1.5, sampling_steps=10)
    assert plain.releases(2) == 0
    s, rng = plain.encode(noises(ipc=5)), seeded()
    real = RealSet(*films(4, size=8), 2, rng)
    assert list(distill(plain, s, real, steps=plain.steps, rng=rng)) == []
    shown = plain.decode(s)
    assert all(torch.equal(shown.model[n], w) for n, w in of_gaussians.theta.items())
    labels = torch.arange(2).repeat_interleave(5)
    wanted = of_gaussians.denoiser.sample(
        of_gaussians.theta, s.images, labels, guidance=1.5, steps=10
    )
    assert torch.equal(shown.images, s.normalization.bounded(wanted))
    assert torch.equal(shown.images, plain.decode(s).images)
    assert torch.equal(shown.labels, s.labels)


def test_released_images_look_like_films_of_their_class(
    of_gaussians: Trained, gaussians: tuple[Tensor, Tensor, Tensor]
) -> None:
    means, images, labels = gaussians
    how = Minimax(of_gaussians, steps=4, memory=8, sampling_steps=10)
    s, rng = how.encode(noises(ipc=10)), seeded()
    losses = list(distill(how, s, RealSet(images, labels, 2, rng), steps=4, rng=rng))
    assert torch.tensor(losses).isfinite().all()
    shown = how.decode(s)
    apart = (shown.images[:, None] - means).flatten(2).square().sum(2)
    assert torch.equal(apart.argmin(1), shown.labels.argmax(1))


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.3, 0.6)])
def test_released_images_can_be_shown_and_carry_no_graph(
    method: Minimax, low: float, high: float
) -> None:
    s = replace(method.encode(noises()), normalization=Normalization(low=low, high=high))
    for weight in s.model.values():
        weight.requires_grad_()
    shown = replace(method, sampling_steps=5).decode(s)
    pixels = s.normalization.display(shown.images)
    assert pixels.min() >= low - 1e-6
    assert pixels.max() <= high + 1e-6
    assert not any(tensor.requires_grad for tensor in shown.tensors().values())


def test_only_the_diffusion_model_is_learned(fresh: Callable, films: Callable) -> None:
    coded = Minimax(
        fresh(size=8, filters=(16,), block=1, encoder=(8, 8)), memory=2, batch=4, sampling_steps=2
    )
    s, rng = coded.encode(noises()), seeded()
    before = {name: weight.clone() for name, weight in s.model.items()}
    list(distill(coded, s, RealSet(*films(4, size=8), 2, rng), steps=3, rng=rng))
    moved = {name for name, w in s.model.items() if not torch.equal(w, before[name])}
    assert moved
    assert moved <= learned(s.model).keys() < s.model.keys()
    assert coded.decode(s).images.shape == (4, 1, 8, 8)


def test_s_comes_back_from_its_tensors(method: Minimax) -> None:
    s = method.encode(noises())
    assert s.model
    again = SyntheticSet.of(s.tensors())
    assert again.model.keys() == s.model.keys()
    assert all(again.tensors()[name] is tensor for name, tensor in s.tensors().items())


@pytest.mark.parametrize("field", ["batch", "memory", "path", "sampling_steps"])
def test_a_field_of_zero_is_refused(method: Minimax, field: str) -> None:
    with pytest.raises(ValueError, match="batch, memory, path and sampling_steps must be 1 or"):
        replace(method, **{field: 0})


@pytest.mark.parametrize("steps", [30, 600, 2000])
def test_sampling_steps_that_would_leave_noise_are_refused(method: Minimax, steps: int) -> None:
    with pytest.raises(ValueError, match=f"sampling_steps must divide 1000, not be {steps}"):
        replace(method, sampling_steps=steps)
