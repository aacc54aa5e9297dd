"""The word that `roost state show` has for a value."""

import pytest

from roost_broker.messages import InjectedValue
from roost_edge.cli.state import _condition, _text
from roost_rendezvous.injector.settings import StateValue

DROP = StateValue(topic="t")
DEFAULT = StateValue(topic="t", when_stale="default", default=True)


@pytest.mark.parametrize(
    ("value", "rule", "word"),
    [
        (InjectedValue(value=1, condition="fresh"), DROP, "fresh"),
        (InjectedValue(value=1, condition="fresh", problem="empty"), DROP, "unreadable"),
        (InjectedValue(condition="missing"), DROP, "missing"),
        (InjectedValue(value=True, condition="missing"), DEFAULT, "default"),
        (InjectedValue(value=True, condition="stale"), DEFAULT, "default"),
        (InjectedValue(condition="stale", problem="empty"), DROP, "stale"),
    ],
)
def test_a_default_is_called_so_and_an_unreadable_value_is_never_fresh(
    value: InjectedValue, rule: StateValue, word: str
) -> None:
    assert _condition(value, rule) == word


def test_values_are_written_as_json_writes_them_but_texts_plain() -> None:
    assert [_text(value) for value in (True, 1.5, "day", None)] == ["true", "1.5", "day", "–"]
