"""Is the store kept? What the watch over it says (`roost_edge.janitor`), and whether that watch itself is awake."""

from roost_broker.clock import MS
from roost_edge.doctor.findings import Facts, Verdict, fail, ok, together, warn
from roost_edge.doctor.patient import Patient

_MB = 1_000_000
_MISSED = 3
"""So many looks that were not told: the watch is not awake."""
_REMEDIES = {
    "not-run": "See its log (journalctl -u 'roost-decoy@*' -u 'roost-capture@*'), and start that role again.",
    "over-budget": "See its log for files that it may not delete; the folders are to be the roles' own.",
    "floors": "Raise archive.budget_mb, or lower archive.floor_frames.",
    "short": "du -x -d2 shows what takes the room; lower archive.budget_mb, or use a larger card.",
    "closed": "Make room now: du -x -d2 shows what takes it. Pictures are taken again as soon as there is some.",
    "unseen": "journalctl -k names what is wrong with the card.",
}
_WARNINGS = ("floors", "short")


def store(patient: Patient) -> Verdict:
    """The retained state of the store: fresh, and without alarms."""
    said = patient.seen().store
    if said is None:
        return fail(
            "Nobody has said how the store stands.", "The role desk watches it: is it well? roost doctor --only roles"
        )
    age_s = max(0, patient.clock.wall_ns() // MS - said.timestamp) // 1000
    facts: Facts = {"ageS": age_s, "alarms": len(said.alarms)}
    if said.free_bytes is not None:
        facts["freeMb"] = said.free_bytes // _MB
    facts |= {f"{name}Mb": one.held_bytes // _MB for name, one in said.keepers.items()}
    every_s = patient.settings.store.look_s
    if age_s > _MISSED * every_s + 60:
        return fail(f"Nobody has watched the store for {age_s} s.", "Restart the role desk, which watches it.", **facts)
    found = [
        (warn if one.kind in _WARNINGS else fail)(one.detail, _REMEDIES.get(one.kind, "See docs/store.md."), **facts)
        for one in said.alarms
    ]
    each = (f"{name} {one.held_bytes // _MB} of {one.budget_bytes // _MB} MB" for name, one in said.keepers.items())
    return together([ok(f"House-keeping runs: {', '.join(each)}.", **facts), *found])
