"""What a recipe must fulfil before any film is read."""

from medidd.distill import DrawsImages, Method, Requires
from medidd.methods import METHODS
from medidd.starts import STARTS
from pipelines.run.errors import Exit, Stop


def require_no_film(name: str, start: str, preset: str, teachers: int) -> None:
    """Checks that nothing but a private source looks at the films.

    Raises:
        Stop: something does.
    """
    without = "or use --epsilon none for a release without a guarantee"
    if name in STARTS:
        raise Stop(
            f"'{name}' is a start and asks nothing that a guarantee could cover; choose a method, "
            f"such as moments or class-mean, {without}",
            Exit.USAGE,
        )
    if start in STARTS and start != "noise":
        raise Stop(
            f"--start {start} shows films or their means; a guarantee needs --start noise; use "
            f"that, {without}",
            Exit.USAGE,
        )
    if teachers:
        raise Stop(
            "--teachers trains networks on the films, and no guarantee covers them; leave it out, "
            + without,
            Exit.USAGE,
        )
    if preset == "paper":
        raise Stop(
            "--preset paper asks the films far too often for a guarantee; leave it out, " + without,
            Exit.USAGE,
        )


def require_steps(name: str, steps: int | None) -> None:
    """Checks that a method has a step, unless it can draw its images without one.

    Raises:
        Stop: it has none.
    """
    if steps == 0 and not hasattr(METHODS[name], "origin"):
        raise Stop(f"--steps 0: {name} learns nothing without a step; use 1 or more", Exit.USAGE)


def require_suited(method: Method, ipc: int) -> None:
    """Checks, before any film is read, that so many images per class suit a method.

    Raises:
        Stop: they do not.
    """
    if not isinstance(method, Requires):
        return
    try:
        method.require(ipc)
    except ValueError as error:
        raise Stop(f"--set: {error}", Exit.USAGE) from None


def require_drawing(name: str, method: Method, start: str, *, private: bool) -> None:
    """Checks that a method that draws its images begins with noise, and asks nothing privately.

    A release of its states the guarantee of what it draws from, and none for questions of its own.

    Raises:
        Stop: it does not, or would ask.
    """
    if not isinstance(method, DrawsImages):
        return
    if start != "noise":
        raise Stop(
            f"--start {start}: {name} draws its images from noise; leave out --start", Exit.USAGE
        )
    if private and method.steps:
        raise Stop(
            f"--steps {method.steps}: under a guarantee {name} only draws, because no guarantee "
            f"covers its steps; leave out --steps, or use --epsilon none",
            Exit.USAGE,
        )
