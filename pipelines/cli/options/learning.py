"""Options about how a synthetic set is learned, and which runs a study has.

Nothing heavy is imported here, so that ``medidd --help`` is there at once.
"""

from __future__ import annotations

import rich_click as click

from pipelines.cli.options.groups import METHOD, RUN
from pipelines.cli.options.guarantee import guaranteed
from pipelines.cli.options.machine import computing, workers
from pipelines.cli.options.shared import FOLDER, options, parsed

steps = click.option(
    "--steps",
    type=click.IntRange(min=0),
    help="Updates of the images, or of the model they are drawn from; 0 for minimax alone. "
    "Default: the method's own.",
    panel=METHOD,
)

settings = click.option(
    "--set",
    "settings",
    multiple=True,
    callback=parsed,
    metavar="NAME=VALUE",
    help="Sets a field of the method. medidd methods lists them. Can be repeated.",
    panel=METHOD,
)

preset = click.option(
    "--preset",
    type=click.Choice(["default", "paper"]),
    default="default",
    show_default=True,
    help="Where fields that are not set come from: the method's defaults, or the values of its "
    "paper for this ipc.",
    panel=METHOD,
)

several = options(
    click.option(
        "--ipc",
        "ipcs",
        type=click.IntRange(min=1),
        multiple=True,
        required=True,
        help="Images per class; can be given several times.",
        panel=METHOD,
    ),
    click.option(
        "--method",
        "methods",
        multiple=True,
        help="Method, or a start as a baseline; can be given several times. Default: as for medidd "
        "distill.",
        panel=METHOD,
    ),
    click.option(
        "--seeds",
        type=click.IntRange(min=1),
        default=1,
        show_default=True,
        help="Runs of each method and ipc, each with a seed of its own.",
        panel=RUN,
    ),
)
"""Which runs a study has: one for each method, number of images per class and seed."""

learning = options(
    click.option(
        "--start",
        help="What the images are before the first step. Default: the method's own, mostly noise.",
        panel=METHOD,
    ),
    steps,
    preset,
    settings,
    click.option(
        "--experts",
        type=FOLDER,
        help="Folder that medidd experts wrote. mtt and tesla need it.",
        panel=METHOD,
    ),
    click.option(
        "--denoiser",
        type=FOLDER,
        help="Folder that medidd denoiser wrote. minimax needs it.",
        panel=METHOD,
    ),
    click.option(
        "--teachers",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        help="Label the images by the mean prediction of so many networks trained on the films.",
        panel=METHOD,
    ),
    guaranteed,
    computing,
    workers,
)
"""How a synthetic set is learned, but for the method, the images per class and the folder."""
