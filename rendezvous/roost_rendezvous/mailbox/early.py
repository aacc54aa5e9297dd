"""Scores and declines that came before their request. Bounded in number, in bytes and in age."""

from collections import OrderedDict

from roost_rendezvous.mailbox.events import ModelWord
from roost_rendezvous.mailbox.timers import NEVER


class EarlyWords:
    """Holds words by request id, oldest request first. Pure: time is an argument."""

    def __init__(self, max_words: int, max_bytes: int, age_ns: int) -> None:
        self._max = max_words
        self._max_bytes = max_bytes
        self._age_ns = age_ns
        self._held: OrderedDict[str, tuple[int, list[ModelWord]]] = OrderedDict()
        self._count = 0
        self._bytes = 0
        self.next_ns = NEVER
        """When the oldest is given up."""

    def __len__(self) -> int:
        return self._count

    def hold(self, word: ModelWord, now: int) -> list[ModelWord]:
        """Keep a word; return those that had to make room. One word always has room, whatever its size."""
        dropped: list[ModelWord] = []
        while self._count and (self._count >= self._max or self._bytes + word.size > self._max_bytes):
            dropped.extend(self._drop_oldest())
        entry = self._held.get(word.request_id)
        if entry is None:
            self._held[word.request_id] = (now + self._age_ns, [word])
            self.next_ns = min(self.next_ns, now + self._age_ns)
        else:
            entry[1].append(word)
        self._count += 1
        self._bytes += word.size
        return dropped

    def take(self, request_id: str) -> list[ModelWord]:
        """The words held for this request, in order of arrival."""
        entry = self._held.pop(request_id, None)
        return [] if entry is None else self._left(entry[1])

    def expire(self, now: int) -> list[ModelWord]:
        """Give up the words whose time is over."""
        dropped: list[ModelWord] = []
        while self.next_ns <= now:
            dropped.extend(self._drop_oldest())
        return dropped

    def drop_all(self) -> list[ModelWord]:
        """Give up everything."""
        dropped: list[ModelWord] = []
        while self._held:
            dropped.extend(self._drop_oldest())
        return dropped

    def _drop_oldest(self) -> list[ModelWord]:
        _, (_, words) = self._held.popitem(last=False)
        return self._left(words)

    def _left(self, words: list[ModelWord]) -> list[ModelWord]:
        self._count -= len(words)
        self._bytes -= sum(word.size for word in words)
        self.next_ns = next((until for until, _ in self._held.values()), NEVER)
        return words
