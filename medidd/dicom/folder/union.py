"""Union-find: which names belong together, if pairs of them do."""


class Joined:
    """Names in groups; a name that was never joined is a group of its own."""

    def __init__(self) -> None:
        """Starts without any group."""
        self._above: dict[str, str] = {}

    def first(self, name: str) -> str:
        """Returns the smallest name of the group."""
        top = name
        while (above := self._above.get(top, top)) != top:
            top = above
        while name != top:  # the next search is short
            self._above[name], name = top, self._above[name]
        return top

    def join(self, one: str, other: str) -> None:
        """Makes one group of two."""
        low, high = sorted((self.first(one), self.first(other)))
        if low != high:
            self._above[high] = low
