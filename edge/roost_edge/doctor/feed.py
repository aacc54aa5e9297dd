"""The public feed: its keys and who may read them, its budget, what waits."""

from pathlib import Path

from roost_broker.errors import Misuse, PeerError
from roost_edge.doctor.findings import Verdict, fail, ok, together, warn
from roost_edge.doctor.patient import Patient, Unseen, there
from roost_edge.feed import keys
from roost_edge.feed.places import places
from roost_edge.feed.settings import FeedSettings
from roost_edge.feed.telling import Told, told

_LONG_S = 3_600.0
_MANY_FAILURES = 3


def feed(patient: Patient) -> Verdict:
    """All of it; what the role itself said last is the first word."""
    settings = patient.settings.feed
    assert settings is not None  # noqa: S101  # narrows the type: the check is there where the section is
    path = places(patient.settings).store
    try:
        stands = told(path, settings, patient.clock) if there(path) else Told()
    except PermissionError:
        return together([_keys(settings), warn(f"{path} cannot be read by this user.", "sudo roost doctor")])
    except PeerError as error:
        return fail(error.problem, error.remedy)
    return together([_keys(settings), _role(patient), _queue(settings, stands, began=there(path))])


def _keys(settings: FeedSettings) -> Verdict:
    if settings.dry_run or not settings.keys:
        why = "the settings want it so" if settings.dry_run else "the settings name no keys"
        return ok(f"Dry run: {why}; nothing is sent.", mode="dry-run")
    path = Path(settings.keys)
    try:
        if not keys.check(path):
            return warn(f"There are no keys in {path}: nothing is sent.", f"roost feed keys {path}", mode="dry-run")
    except Misuse as error:
        return fail(error.problem, error.remedy)
    except PermissionError:  # its folder is root's: nobody else can use the keys either
        return ok("The keys are kept from this user.", mode="service")
    return ok("Its keys are there, for their owner alone.", mode="service")


def _role(patient: Patient) -> Verdict:
    try:
        state = patient.seen().roles.get("feed")
    except Unseen:
        return ok("")  # the check `broker` says so
    if state is None or state.state != "ready":
        how = "has said nothing yet" if state is None else f"is {state.state}: {state.detail}"
        return fail(f"The feed {how}.", "Start the device; the feed's log says why it ended.")
    facts = {name: state.counts.get(name, 0) for name in ("posted", "expired", "duplicate", "rejected", "suggestions")}
    if facts["rejected"]:
        return warn(
            f"The service refused {facts['rejected']} posts for good.", "roost feed queue --all says why.", **facts
        )
    return ok(f"{facts['posted']} posts since it began.", **facts)


def _queue(settings: FeedSettings, stands: Told, *, began: bool) -> Verdict:
    waiting = len(stands.waiting)
    facts = {"waiting": waiting, "leftToday": stands.left_today, "leftThisMonth": stands.left_this_month}
    if not began:
        return ok("Nothing was posted yet.", waiting=0)
    oldest = max((row.age_s for row in stands.waiting), default=0.0)
    if stands.why_paused.startswith("keys"):
        remedy = "Make new keys with the right to read and write (roost feed keys), then: roost feed post --now"
        return fail(f"The service refuses the keys: {stands.why_paused}", remedy, **facts)
    if stands.failures >= _MANY_FAILURES:
        problem = f"{stands.failures} attempts failed in a row: {stands.why_paused}"
        return warn(problem, "Look at the network; then: roost feed post --now", **facts)
    if waiting and not (stands.left_today and stands.left_this_month):
        problem = f"The budget is spent, and {waiting} posts wait, the oldest for {oldest / 60:.0f} min."
        return warn(problem, "Post less (feed.min_score, feed.labels, feed.again_s), or raise feed.per_day.", **facts)
    if oldest > min(_LONG_S, settings.expiry_s / 2):
        problem = f"{waiting} posts wait, the oldest for {oldest / 60:.0f} min."
        return warn(problem, "roost feed queue says what for.", **facts)
    return ok(f"{waiting} posts wait; {stands.left_today} may go today.", **facts)
