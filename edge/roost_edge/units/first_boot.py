"""The first boot of a device: from a card that was written to a member of the fleet that works.

Rules:

1. Each step is harmless when it was done, or half done, before: a power cut at any point is made up for by the next
   start, which begins from the first step.
2. The mark that ends it is made last; until then `roost-firstboot.service` comes again.
3. A step that fails ends the attempt with a sentence; systemd tries again a little later.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from roost_broker.durable import write_durably

MARK = "provisioned"
"""In the data folder; `roost-firstboot.service` looks for it."""
_LONGEST_FILE = 1_000_000


@dataclass(frozen=True, slots=True)
class Card:
    """What the first boot begins from: the seed's folder on the boot partition, and the settings' file."""

    seed: Path
    settings: Path

    @property
    def has_seed(self) -> bool:
        """Whether the card says where to enrol."""
        return (self.seed / "seed.toml").is_file()


def steps(card: Card, *, wait_s: int, locked: bool) -> tuple[tuple[str, ...], ...]:
    """The words of `roost` to run, in their order. `locked`: the settings ask for a broker with passwords."""
    named = ("--settings", str(card.settings))
    enrol = ("enrol", "--seed", str(card.seed), *named, "--wait", str(wait_s))
    return (
        *((enrol,) if card.has_seed else ()),
        *((("broker", "setup", *named),) if locked else ()),
        ("units", "apply", *named),
    )


def take_settings(card: Card, say: Callable[[str], None]) -> None:
    """Settings and schedules that lie beside the seed become the device's. Raises OSError."""
    beside = [
        path for path in (card.seed / "roost.toml", *sorted(card.seed.glob("schedules/*.toml"))) if path.is_file()
    ]
    for path in beside:
        target = card.settings.parent / path.relative_to(card.seed)
        if path.name == "roost.toml":
            target = card.settings
        data = _bounded(path)
        if not target.is_file() or target.read_bytes() != data:
            write_durably(target, data, mode=0o644)
            target.chmod(0o644)  # whatever the umask
            say(f"{target} is that of the card")


def complete(card: Card, data: Path, run: Callable[[Sequence[str]], None], words: Sequence[Sequence[str]]) -> None:
    """Run the steps, enable the device's target, make the mark, and start what was enabled. `run` raises."""
    for step in words:
        run(["roost", *step])
    run(["systemctl", "enable", "roost.target"])
    write_durably(data / MARK, b"")
    # Not waited for: the target is ordered behind the unit that runs us.
    run(["systemctl", "start", "--no-block", "roost.target"])


def _bounded(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_LONGEST_FILE)
