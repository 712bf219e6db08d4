"""Options of the commands that audit and export.

Nothing heavy is imported here, so that ``medidd --help`` is there at once.
"""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from pipelines.cli.options import FILE, FOLDER, max_refused, options
from pipelines.cli.reading_options import reading

policy = click.option(
    "--policy", type=FILE, help="TOML to audit by. Default: medidd's own policy.toml."
)

encoder = click.option(
    "--encoder",
    type=FILE,
    help="ONNX file of a network that turns films into vectors, alike for films of one person. "
    "Without one, attackers who hold another film of a patient are not assessed.",
)

reference = options(
    click.option(
        "--reference",
        type=FOLDER,
        help="Folder of other people's DICOM films, to make null releases of. Default: the run's "
        "own controls.",
    ),
    click.option(
        "--reference-labels",
        type=FILE,
        help="CSV of their labels. Default: as for --labels of medidd distill.",
    ),
)

foreign_set = options(
    click.option(
        "--release",
        type=FILE,
        help="File of a set that somebody else made: .npz, .safetensors, .pt or .pth.",
    ),
    click.option(
        "--members",
        type=click.Path(exists=True, path_type=Path),
        help="Folder of the DICOM films it was made of, or .npz of images, labels, patient_ids.",
    ),
    click.option(
        "--controls",
        type=click.Path(exists=True, path_type=Path),
        help="Likewise of people who had no part in it.",
    ),
    click.option(
        "--members-labels",
        type=FILE,
        help="CSV of their labels. Default: as for --labels of medidd distill.",
    ),
    click.option("--controls-labels", type=FILE, help="Likewise."),
    click.option(
        "--null",
        "nulls",
        type=FILE,
        multiple=True,
        help="A set by the same method of other people. Repeat for about five; without, nothing "
        "can pass.",
    ),
    click.option(
        "--mean",
        type=float,
        multiple=True,
        help="Of standardised floats: display value = intensity * std + mean. Repeat for channels.",
    ),
    click.option("--std", type=float, multiple=True, help="Likewise."),
    click.option(
        "--experiment",
        type=click.IntRange(min=0),
        help="Which set of a file that holds several, from 0.",
    ),
    max_refused,
    reading,
)

accepting = options(
    click.option(
        "--accept-inconclusive",
        "reason",
        metavar="REASON",
        help="Export what the audits did not decide, for this reason; it is published.",
    ),
    click.option("--approver", metavar="NAME", help="Who answers for that; the name is published."),
)

leaving = options(
    click.option(
        "--dicom", is_flag=True, help="Add the images as DICOM files (Secondary Capture)."
    ),
    click.option(
        "--sign",
        "signing",
        type=FILE,
        metavar="KEY",
        help="OpenSSH key to sign the bundle's check sums with; one that asks for no passphrase.",
    ),
)
