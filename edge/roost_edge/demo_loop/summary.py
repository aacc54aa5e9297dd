"""What the story came to: counts and times, and whether each of its turns happened. Pure."""

from typing import Any

import msgspec


class Chapter(msgspec.Struct, frozen=True, kw_only=True):
    """One chapter that was played."""

    title: str
    seconds: float


class Returned(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a roll-out."""

    version: str
    ended: str
    """`complete` or `aborted`."""
    why: str
    seconds: float
    devices: int
    served: int
    """Devices that it ever served."""


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """The whole run. `ok` when nothing in `problems`."""

    devices: int
    """Simulated ones; the full device is one more."""
    requests: int
    """That the full device asked, and the centre has."""
    missing_at_centre: int
    """Requests in the device's archive that the centre does not have."""
    frames_at_centre: int
    labels_by_key: int
    """Typed in the label page, in a browser."""
    labels_imported: int
    training_s: dict[str, float]
    """Seconds of each `roost train`, by version."""
    accuracy: dict[str, float]
    """Of each version, on the labelled requests of the device, which nobody trained on."""
    wrong_before: float
    """Mean score that Plymouth Rocks were given as Buff Orpingtons, by the device's official model (figure 7-2)."""
    wrong_after: float
    good: Returned
    bad: Returned
    refused_by_gate: bool
    """`roost evaluate` refused the bad bundle, before it was rolled out against its advice."""
    commands: int
    chapters: list[Chapter]
    problems: list[str]

    @property
    def ok(self) -> bool:
        """Whether everything came as it should."""
        return not self.problems


def judge(story: Story) -> list[str]:
    """What did not come as it should, in sentences."""
    problems = []
    if story.requests == 0:
        problems.append("The device asked nothing.")
    if story.missing_at_centre:
        problems.append(f"{story.missing_at_centre} of the device's requests did not reach the centre.")
    if story.good.ended != "complete":
        problems.append(f"The better model's roll-out ended {story.good.ended}: {story.good.why}")
    if story.bad.ended != "aborted":
        problems.append(f"The bad model's roll-out ended {story.bad.ended}, not aborted.")
    if story.bad.served > max(1, (story.devices + 1) * 0.02):
        problems.append(f"The bad model served {story.bad.served} of {story.devices + 1} devices.")
    if not story.refused_by_gate:
        problems.append("The gate let the bad model pass.")
    if not story.wrong_after < story.wrong_before / 2:
        problems.append(
            "Plymouth Rocks are still called Buff Orpingtons: "
            f"{story.wrong_before:.3f} before, {story.wrong_after:.3f} after."
        )
    return problems


def as_json(story: Story) -> str:
    """One object."""
    return msgspec.json.format(
        msgspec.json.encode({"ok": story.ok, **msgspec.structs.asdict(story)}), indent=2
    ).decode()


def as_lines(story: Story) -> list[str]:
    """For a person."""
    table: list[tuple[str, Any]] = [
        ("requests asked / missing at the centre", f"{story.requests} / {story.missing_at_centre}"),
        ("frames at the centre, each once", story.frames_at_centre),
        ("labels typed in the browser / imported", f"{story.labels_by_key} / {story.labels_imported}"),
        ("training", ", ".join(f"{name} {seconds:.1f} s" for name, seconds in story.training_s.items())),
        ("accuracy on labelled requests", ", ".join(f"{k} {v:.1%}" for k, v in story.accuracy.items())),
        ("Plymouth Rock called Buff Orpington", f"{story.wrong_before:.3f} → {story.wrong_after:.3f} (mean score)"),
        ("better model", _told(story.good)),
        ("bad model", ("refused by the gate; " if story.refused_by_gate else "") + _told(story.bad)),
        ("commands run / seconds", f"{story.commands} / {sum(one.seconds for one in story.chapters):.0f}"),
    ]
    wide = max(len(name) for name, _ in table)
    lines = [f"{name:<{wide}}  {value}" for name, value in table]
    return [*lines, *(f"PROBLEM: {problem}" for problem in story.problems), "ok" if story.ok else "not ok"]


def _told(one: Returned) -> str:
    return f"{one.version} {one.ended} after {one.seconds:.0f} s, served {one.served} of {one.devices} devices"
