"""Which of many belong together."""


class Groups:
    """Union-find over the numbers below *size*, joined by the marks they share."""

    def __init__(self, size: int) -> None:
        self._parents = list(range(size))
        self._first: dict[bytes | int, int] = {}

    def join(self, index: int, mark: bytes | int) -> None:
        """Put *index* with all others that have *mark*."""
        other = self._first.setdefault(mark, index)
        self._parents[self._root(index)] = self._root(other)

    def _root(self, index: int) -> int:
        while self._parents[index] != index:
            index = self._parents[index]
        return index

    def members(self) -> list[list[int]]:
        """Return those that belong together."""
        found: dict[int, list[int]] = {}
        for index in range(len(self._parents)):
            found.setdefault(self._root(index), []).append(index)
        return list(found.values())
