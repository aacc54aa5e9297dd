"""The first boot: what is done in which order, and what a cut leaves to be done."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from roost_broker.errors import PeerError
from roost_edge.units.first_boot import MARK, Card, complete, steps, take_settings


@pytest.fixture
def card(tmp_path: Path) -> Card:
    seed = tmp_path / "seed"
    (seed / "schedules").mkdir(parents=True)
    (seed / "seed.toml").write_text("[enrol]\n")
    (seed / "roost.toml").write_text("[node]\n")
    (seed / "schedules" / "nest.toml").write_text("sla_ms = 1\n")
    return Card(seed, tmp_path / "etc" / "roost.toml")


def test_identity_comes_before_the_broker_and_the_broker_before_the_units(card: Card) -> None:
    named = ("--settings", str(card.settings))
    assert steps(card, wait_s=60, locked=True) == (
        ("enrol", "--seed", str(card.seed), *named, "--wait", "60"),
        ("broker", "setup", *named),
        ("units", "apply", *named),
    )


def test_a_device_without_a_seed_or_without_passwords_is_completed_without_them(card: Card) -> None:
    (card.seed / "seed.toml").unlink()
    assert [words[0] for words in steps(card, wait_s=60, locked=False)] == ["units"]


def test_settings_beside_the_seed_become_the_devices_once(card: Card) -> None:
    said: list[str] = []
    take_settings(card, said.append)
    assert card.settings.read_text() == "[node]\n"
    assert (card.settings.parent / "schedules" / "nest.toml").read_text() == "sla_ms = 1\n"
    assert len(said) == 2
    take_settings(card, said.append)
    assert len(said) == 2


def test_a_card_without_settings_leaves_those_of_the_image(tmp_path: Path) -> None:
    card = Card(tmp_path, tmp_path / "etc" / "roost.toml")
    take_settings(card, print)
    assert not card.settings.exists()


@pytest.mark.parametrize("fails_at", range(5))
def test_whatever_step_fails_the_mark_is_made_only_when_all_are_done(tmp_path: Path, fails_at: int) -> None:
    ran: list[str] = []

    def run(command: Sequence[str]) -> None:
        ran.append(" ".join(command))
        if len(ran) == fails_at + 1:
            raise PeerError("A cut.")

    words = (("enrol",), ("broker", "setup"), ("units", "apply"))
    with pytest.raises(PeerError):
        complete(Card(tmp_path, tmp_path), tmp_path, run, words)
    # The target is enabled before the mark, and started behind it: a cut in between is made up for by the next boot.
    assert (tmp_path / MARK).exists() == (fails_at == 4)
    complete(Card(tmp_path, tmp_path), tmp_path, run, words)
    assert ran[-5:] == ["roost enrol", "roost broker setup", "roost units apply", *ran[-2:]]
    assert (tmp_path / MARK).exists()
