"""A sheet of samples of a denoiser, and how far each is from the nearest film.

    python -m benchmarks.samples --data kermany_pneumonia_128_dev.npz --denoiser DIR --size 32 \
        --fold 1 --to docs/samples-32.png

``DIR`` is a folder that ``radiographs.py --denoisers`` made. No film is shown. Above each sample
stand two distances, in hundredths of the range from black to white, as root mean squares over
pixels: to the nearest of some films that the denoiser was trained on, and to the nearest of as many
films that were held out.
"""

from pathlib import Path

import click
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import interpolate

from medidd.data import NORMALIZATION
from medidd.denoisers.trained import Trained, read_configuration, record
from medidd.methods.minimax import Minimax

INK, SOFT = "#1b2430", "#5b6775"


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--denoiser", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--size", type=int, required=True, help="Pixels.")
@click.option("--fold", type=int, required=True, help="The fold that was held out.")
@click.option("--guidance", type=float, default=Minimax.guidance, show_default=True)
@click.option("--each", type=int, default=8, show_default=True, help="Samples of a class.")
@click.option("--to", type=click.Path(path_type=Path), required=True, help="A PNG.")
def main(
    data: Path, denoiser: Path, size: int, fold: int, guidance: float, each: int, to: Path
) -> None:
    """Draws the sheet and prints the distances."""
    held = np.load(data)
    pixels = torch.from_numpy(held["images"]).float()[:, None] / 255
    films = interpolate(pixels, size=(size, size), mode="bilinear", antialias=True)
    labels = torch.from_numpy(held["labels"].astype("int64"))
    test = torch.from_numpy(held["fold"] == fold)
    classes = int(labels.max()) + 1
    shown = samples(denoiser, size, classes, each, guidance)
    seen, unseen = films[~test], films[test]
    few = seen[torch.randperm(len(seen), generator=torch.Generator().manual_seed(0))[: len(unseen)]]
    near, near_few, far = (nearest(shown, of) for of in (seen, few, unseen))
    click.echo(
        f"median distance to the nearest film learned from {near.median():.3f}, of {len(unseen)} "
        f"of these {near_few.median():.3f}, of {len(unseen)} held out {far.median():.3f}"
    )
    draw(shown, near_few, far, classes).savefig(to, dpi=110)


def samples(folder: Path, size: int, classes: int, each: int, guidance: float) -> Tensor:
    """Returns display values of samples, (classes * each, 1, size, size)."""
    model = Trained(folder, read_configuration(folder), classes, 1, size, record(folder)["about"])
    noise = torch.randn(classes * each, 1, size, size, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(classes).repeat_interleave(each)
    drawn = model.denoiser.sample(
        model.theta, noise, labels, guidance=guidance, steps=Minimax.sampling_steps
    )
    return NORMALIZATION.display(drawn).clamp(0, 1)


def nearest(shown: Tensor, films: Tensor) -> Tensor:
    """Returns the distance of each image to the nearest film, a root mean square, (n,)."""
    apart = torch.cdist(shown.flatten(1), films.flatten(1)).amin(1)
    return apart / shown[0].numel() ** 0.5


def draw(shown: Tensor, near: Tensor, far: Tensor, classes: int) -> Figure:
    """Returns the sheet: a row for each class."""
    each = len(shown) // classes
    figure = Figure(figsize=(1.1 * each, 1.35 * classes), layout="constrained")
    for place, axes in enumerate(figure.subplots(classes, each).flat):
        axes.imshow(shown[place, 0].numpy(), cmap="gray", vmin=0, vmax=1)
        axes.set_title(
            f"{100 * near[place]:.1f}  /  {100 * far[place]:.1f}", fontsize=7, color=SOFT, pad=2
        )
        axes.set_axis_off()
    return figure


if __name__ == "__main__":
    main()
