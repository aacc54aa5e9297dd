"""Scores and declines that came before their request. Bounded in number and in age."""

from collections import OrderedDict

from roost_rendezvous.mailbox.events import ModelWord


class EarlyWords:
    """Holds words by request id, oldest request first. Pure: time is an argument."""

    def __init__(self, max_words: int, age_ns: int) -> None:
        self._max = max_words
        self._age_ns = age_ns
        self._held: OrderedDict[str, tuple[int, list[ModelWord]]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def hold(self, word: ModelWord, now: int) -> list[ModelWord]:
        """Keep a word; return those that had to make room."""
        dropped: list[ModelWord] = []
        while self._count >= self._max:
            dropped.extend(self._drop_oldest())
        entry = self._held.get(word.request_id)
        if entry is None:
            self._held[word.request_id] = (now + self._age_ns, [word])
        else:
            entry[1].append(word)
        self._count += 1
        return dropped

    def take(self, request_id: str) -> list[ModelWord]:
        """The words held for this request, in order of arrival."""
        entry = self._held.pop(request_id, None)
        if entry is None:
            return []
        self._count -= len(entry[1])
        return entry[1]

    def expire(self, now: int) -> list[ModelWord]:
        """Give up the words whose time is over."""
        dropped: list[ModelWord] = []
        while (due := self.deadline()) is not None and due <= now:
            dropped.extend(self._drop_oldest())
        return dropped

    def deadline(self) -> int | None:
        """When the oldest is given up."""
        for until, _ in self._held.values():
            return until
        return None

    def _drop_oldest(self) -> list[ModelWord]:
        _, (_, words) = self._held.popitem(last=False)
        self._count -= len(words)
        return words
