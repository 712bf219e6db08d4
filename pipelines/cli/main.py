"""The medidd command: options only, no logic.

Everything heavy is imported inside the commands, so that ``medidd --help`` is there at once.
"""

from __future__ import annotations

import os
import sys

import rich_click as click

from medidd.allocator import keep_memory
from pipelines.cli import (
    dp_commands,
    film_commands,
    method_commands,
    recipient_commands,
    release_commands,
)
from pipelines.cli.groups import STYLE
from pipelines.run import installation
from pipelines.run.errors import Exit, Stop

_AGAIN = "repeat the command, with --resume if it has that option"


def main(arguments: list[str] | None = None) -> None:
    """Runs the command; ends with one line and an exit code, never a traceback.

    A traceback shows values, and here values belong to patients. MEDIDD_TRACEBACK=1 shows it, for
    invented films.
    """
    installation.harden()
    keep_memory()
    try:
        medidd.main(arguments, prog_name="medidd", standalone_mode=False)
    except Stop as stop:
        _end(str(stop), stop.code)
    except click.ClickException as error:
        _end(f"{error.format_message()} See {_asked(error)} --help", Exit.USAGE)
    except (KeyboardInterrupt, click.Abort):
        _end(f"interrupted; to continue, {_AGAIN}", 130)
    except Exception as error:
        if os.environ.get("MEDIDD_TRACEBACK"):
            raise
        if isinstance(error, OSError):
            why = error.strerror or "input or output failed"
            _end(f"{why}; fix this and {_AGAIN}; nothing is lost", 1)
        _end(
            f"a bug in medidd ({type(error).__name__}); please report it; MEDIDD_TRACEBACK=1 shows "
            "where it is, but use that only on invented films",
            1,
        )


def _end(message: str, code: int) -> None:
    line = " ".join(message.split())
    click.echo(f"medidd: {line}", err=True)
    sys.exit(code)


def _asked(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    return context.command_path if context is not None else "medidd"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.rich_config(help_config=STYLE)
@click.command_panel("From films to a bundle", commands=["distill", "audit", "export"])
@click.command_panel("What a recipient does", commands=["verify", "train", "test", "predict"])
@click.command_panel("What is in a folder", commands=["inspect", "ingest"])
@click.command_panel("Guarantees", commands=["dp"])
@click.command_panel("More on methods", commands=["methods", "experts", "evaluate"])
@click.command_panel("This installation", commands=["doctor", "cache"])
@click.version_option(package_name="medidd")
def medidd() -> None:
    """Distill radiographs into a few synthetic images, audit them, and only then export them."""


for one in (
    *release_commands.COMMANDS,
    *recipient_commands.COMMANDS,
    *film_commands.COMMANDS,
    *dp_commands.COMMANDS,
    *method_commands.COMMANDS,
):
    medidd.add_command(one)


if __name__ == "__main__":
    main()
