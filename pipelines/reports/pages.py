"""The templates of the reports, and of the card of a bundle."""

from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined


@cache
def environment() -> Environment:
    """Returns the templates; a missing name is an error, and HTML is escaped."""
    return Environment(
        loader=PackageLoader("pipelines.reports"),
        autoescape=lambda name: bool(name and name.endswith(".html")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def template(name: str) -> str:
    """Returns the text of a template, not rendered."""
    return files("pipelines.reports").joinpath("templates", name).read_text()
