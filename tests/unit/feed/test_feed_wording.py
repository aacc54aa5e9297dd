from datetime import UTC

import pytest

from roost_edge.feed.settings import FeedSettings
from roost_edge.feed.wording import MAX_WEIGHT, harmless, how_sure, percent, weight, words

TEXT = FeedSettings().text
WHERE = {"camera": "nest", "task": "door", "node": "coop-1", "at_ms": 1_501_020_498_314, "zone": UTC}


def test_a_post_says_how_sure_the_best_three_labels_where_and_when() -> None:
    said = words(TEXT, [("rhode island red", 0.962), ("leghorn", 0.03), ("empty", 0.004)], **WHERE)  # type: ignore[arg-type]  # values of two types
    assert said.text == (
        "Rhode island red, almost certainly.\nrhode island red 96 %\nleghorn 3 %\nempty <1 %\nnest, 22:08"
    )
    assert said.alt == (
        "Picture of the camera nest, 2017-07-25 22:08. "
        "The model's best answers: rhode island red 96 %, leghorn 3 %, empty <1 %."
    )


@pytest.mark.parametrize(
    ("score", "said", "share"),
    [
        (1.0, "almost certainly", "100 %"),
        (0.995, "almost certainly", ">99 %"),
        (0.85, "very likely", "85 %"),
        (0.6, "probably", "60 %"),
        (0.59, "perhaps", "59 %"),
        (0.0, "perhaps", "0 %"),
        (0.001, "perhaps", "<1 %"),
    ],
)
def test_a_score_in_words_neither_promises_nor_denies_too_much(score: float, said: str, share: str) -> None:
    assert (how_sure(score), percent(score)) == (said, share)


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ("@everybody", "(at) everybody"),
        ("\uff20all", "(at) all"),
        ("blue_jay", "blue jay"),
        ("#win", "win"),
        ("https://evil.example", "https: evil.example"),
        ("a\nb\x00c", "a b c"),
        ("\u202e", "something"),
    ],
)
def test_a_label_mentions_nobody_and_is_one_line(label: str, said: str) -> None:
    assert harmless(label) == said


def test_however_long_the_labels_are_the_service_takes_the_post() -> None:
    said = words(TEXT, [("母鸡" * 100, 0.9), ("x" * 200, 0.1), ("y" * 200, 0.0)], **WHERE)  # type: ignore[arg-type]  # values of two types
    assert weight(said.text) <= MAX_WEIGHT
    assert said.text.endswith("…")


def test_characters_count_as_the_service_counts_them() -> None:
    assert (weight("aé"), weight("母"), weight("🐔"), weight("–…")) == (2, 2, 2, 3)


@pytest.mark.parametrize(
    ("text", "why"),
    [("{nonsense} {scores}", "no field"), ("{scores", "cannot be read"), ("hello {camera}", "says nothing")],
)
def test_a_text_that_cannot_be_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        FeedSettings(text=text)


@pytest.mark.parametrize(
    "wrong",
    [
        {"per_day": 0},
        {"min_score": float("nan")},
        {"settle_s": 300.0},
        {"base_url": "http://example.org"},
        {"base_url": "ftp://127.0.0.1"},
        {"site_url": "example.org"},
        {"max_entries": 501},
    ],
)
def test_a_setting_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        FeedSettings(**wrong)  # type: ignore[arg-type]  # that is the test
