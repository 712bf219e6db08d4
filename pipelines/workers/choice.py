"""What ``--workers`` means."""

from pipelines.workers.cluster import Cluster
from pipelines.workers.helping import Here, Workers

LOCAL, RAY = "local", "ray"


def workers(text: str) -> Workers:
    """Returns who shares the work.

    Args:
        text: a number of processes of this computer, "local" for one per processor, "ray" for the
            cluster that Ray knows or else one on this computer, "ray://HOST:PORT" for another.

    Raises:
        ValueError: it is none of these.
    """
    if text.isdecimal() and int(text) > 0:
        return Here(int(text))
    if text == LOCAL:
        return Here(0)
    if text == RAY:
        return Cluster()
    address = text.removeprefix(f"{RAY}://")
    if address not in ("", text):
        return Cluster(address)
    raise ValueError(f"{text!r} is not a number above 0, local, ray or ray://HOST:PORT")
