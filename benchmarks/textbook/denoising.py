"""Textbook form of the method that trains a diffusion model on: Minimax diffusion."""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call

from benchmarks.textbook.plain import Films, Outcome, leaves
from medidd.data import SyntheticSet
from medidd.denoisers.draws import Draws
from medidd.methods import Minimax


def minimax(
    method: Minimax, s: SyntheticSet, films: Films, rng: torch.Generator
) -> Iterator[Outcome]:
    """The loss of Gu et al., CVPR 2024, image by image.

    Memories are lists, filled before the first step, which four newer latents of each class enter
    before any other. Latents are blocks of pixels.
    """
    predict, classes = _predictor(method), range(films.classes)
    real: list[list[Tensor]] = [[] for _ in classes]
    pseudo: list[list[Tensor]] = [[] for _ in classes]
    denoiser, newer = method.denoiser.denoiser, method.memory
    for _ in range(method.path):
        theta = leaves(s.model)
        table = denoiser.table(newer * films.classes, rng, like=theta)
        for c in classes:
            for _ in range(newer):
                clean, predicted, _ = predict(theta, films.batch(c, 1, rng), c, table)
                real[c] = [*real[c], clean][-method.memory :]
                pseudo[c] = [*pseudo[c], predicted.detach()][-method.memory :]
        newer = 4

        table = denoiser.table(method.batch, rng, like=theta, hidden=0.1)
        drawn = torch.randperm(len(films.images), generator=rng)[: method.batch].tolist()
        loss = torch.zeros(()).to(s.images)
        for row in drawn:
            x, c = films.images[row : row + 1], int(films.labels[row])
            _, predicted, error = predict(theta, x, c, table)
            near = torch.stack([F.cosine_similarity(predicted, m, dim=0) for m in real[c]])
            same = torch.stack([F.cosine_similarity(predicted, m, dim=0) for m in pseudo[c]])
            represents, differs = 1 - near.min(), same.max()
            loss = loss + error + method.lambda_r * represents + method.lambda_d * differs
        learned = {f"model.{name}": weight for name, weight in theta.items()}
        yield Outcome.of(loss / len(drawn), **learned)  # the caller steps the weights here


Predictor = Callable[[dict[str, Tensor], Tensor, int, Draws], tuple[Tensor, Tensor, Tensor]]


def _predictor(method: Minimax) -> Predictor:
    """Returns a function from weights, an image, its class and draws to z_0, z^ and the error."""
    from monai.networks.nets import DiffusionModelUNet
    from monai.networks.schedulers import DDPMScheduler

    shape, classes = method.denoiser.configuration.shape, method.denoiser.classes
    if shape.encoder:
        raise ValueError("the textbook's latents are blocks of pixels")
    latents, levels = method.denoiser.channels * shape.block**2, len(shape.filters)
    with torch.random.fork_rng(devices=[]):
        network = DiffusionModelUNet(
            spatial_dims=2,
            in_channels=latents,
            out_channels=latents,
            num_res_blocks=shape.blocks,
            channels=shape.filters,
            attention_levels=[level + shape.attention >= levels for level in range(levels)],
            norm_num_groups=8,
            num_head_channels=8,
            num_class_embeds=classes + 1,
        )
    noising = DDPMScheduler(1000, "cosine", prediction_type="v_prediction").alphas_cumprod

    def predict(
        theta: dict[str, Tensor], x: Tensor, label: int, table: Draws
    ) -> tuple[Tensor, Tensor, Tensor]:
        row = table.rows(x)
        clean, epsilon, t = (
            F.pixel_unshuffle(x / 2, shape.block),
            table.noise[row],
            table.moments[row],
        )
        kept = noising.to(x)[t]
        a, sigma = kept.sqrt(), (1 - kept).sqrt()
        told = torch.tensor([classes if table.blind[row] else label], device=x.device)
        noisy = a * clean + sigma * epsilon
        v = functional_call(network, theta, (noisy, t), {"class_labels": told})
        error = (v - (a * epsilon - sigma * clean)).square().mean()
        return clean.flatten(), (a * noisy - sigma * v).flatten(), error

    return predict
