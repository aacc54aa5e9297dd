"""Which model is meant: a name, or a name with a version. Pure."""

from collections.abc import Iterable

import msgspec

from roost_rendezvous.analytics.rows import Row, Word


class Choice(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """`version` empty: whichever version had a word."""

    model: str
    version: str = ""

    @property
    def name(self) -> str:
        """As people write it: `champion@3`."""
        return f"{self.model}@{self.version}" if self.version else self.model

    def words(self, row: Row) -> list[Word]:
        """All that this model had to say in a row; several if its versions ran side by side."""
        return self.among(row.words)

    def among(self, words: Iterable[Word]) -> list[Word]:
        """The same of any words."""
        return [word for word in words if word.model == self.model and self.version in ("", word.version)]


def choice(text: str) -> Choice:
    """Read `champion` or `champion@3`."""
    model, _, version = text.partition("@")
    return Choice(model=model, version=version)
