"""Options of the commands that audit and export.

Nothing heavy is imported here, so that ``medidd --help`` is there at once.
"""

from __future__ import annotations

from pathlib import Path

import rich_click as click
from click.core import ParameterSource

from pipelines.cli.options.films import max_refused
from pipelines.cli.options.groups import AUDIT, EXPORT, FOREIGN
from pipelines.cli.options.reading import NAMES, reading
from pipelines.cli.options.shared import FILE, FOLDER, options

policy = click.option(
    "--policy",
    type=FILE,
    help="TOML file with the limits of the audits. Default: medidd's policy.toml.",
    panel=AUDIT,
)

encoder = click.option(
    "--encoder",
    type=FILE,
    help="ONNX file of a network that turns films into vectors, similar for films of the same "
    "person. Without it, attackers who have another film of a patient are not assessed.",
    panel=AUDIT,
)

reference = options(
    click.option(
        "--reference",
        type=FOLDER,
        help="Folder with DICOM films of other people, for the null releases. Default: the run's "
        "own controls.",
        panel=AUDIT,
    ),
    click.option(
        "--reference-labels",
        type=FILE,
        help="CSV table with their labels. Default: as for --labels of medidd distill.",
        panel=AUDIT,
    ),
)

redo = click.option(
    "--redo",
    is_flag=True,
    help="Also make the release again from the films and compare every bit (G9). It takes as long "
    "as making it. It shows what somebody hid in the release, to those who trust this computer.",
    panel=AUDIT,
)

foreign_set = options(
    click.option(
        "--release",
        type=FILE,
        help="File of a set that somebody else made: .npz, .safetensors, .pt or .pth.",
        panel=FOREIGN,
    ),
    click.option(
        "--members",
        type=click.Path(exists=True, path_type=Path),
        help="Folder with the DICOM films it was made from, or .npz with images, labels and "
        "patient_ids.",
        panel=FOREIGN,
    ),
    click.option(
        "--controls",
        type=click.Path(exists=True, path_type=Path),
        help="The same for people whose films were not used.",
        panel=FOREIGN,
    ),
    click.option(
        "--members-labels",
        type=FILE,
        help="CSV table with their labels. Default: as for --labels of medidd distill.",
        panel=FOREIGN,
    ),
    click.option("--controls-labels", type=FILE, help="The same for the controls.", panel=FOREIGN),
    click.option(
        "--null",
        "nulls",
        type=FILE,
        multiple=True,
        help="A set that the same method made from other people. Repeat for about five. Without "
        "them nothing can pass.",
        panel=FOREIGN,
    ),
    click.option(
        "--mean",
        type=float,
        multiple=True,
        help="For standardised floats: display value = intensity * std + mean. Repeat per channel.",
        panel=FOREIGN,
    ),
    click.option("--std", type=float, multiple=True, help="See --mean.", panel=FOREIGN),
    click.option(
        "--experiment",
        type=click.IntRange(min=0),
        help="Which set to audit if the file holds several, counted from 0.",
        panel=FOREIGN,
    ),
    max_refused,
    reading,
)

accepting = options(
    click.option(
        "--accept-inconclusive",
        "reason",
        metavar="REASON",
        help="Export a release that the audits left undecided, for this reason. The reason is "
        "published.",
        panel=EXPORT,
    ),
    click.option(
        "--approver",
        metavar="NAME",
        help="Who is responsible for that decision. The name is published.",
        panel=EXPORT,
    ),
)

leaving = options(
    click.option(
        "--dicom",
        is_flag=True,
        help="Add the images as DICOM files (Secondary Capture).",
        panel=EXPORT,
    ),
    click.option(
        "--sign",
        "signing",
        type=FILE,
        metavar="KEY",
        help="OpenSSH key that signs the bundle's checksums: one without a passphrase, or one that "
        "an ssh-agent holds, whose public half is enough.",
        panel=EXPORT,
    ),
)


def named(context: click.Context) -> dict[str, str]:
    """Returns the options that the user named, by parameter, as they are written.

    The choices of ``reading`` stand under this name.
    """
    return {
        "reading" if parameter.name in NAMES else str(parameter.name): max(parameter.opts, key=len)
        for parameter in context.command.params
        if context.get_parameter_source(str(parameter.name)) is not ParameterSource.DEFAULT
    }
