"""Running checks, each in a thread and within its own time: one that hangs is named and left behind.

All together have a time, too, if whoever asks gives one: then there is a report at that moment, and it names the
checks that are missing in it. On a board that is slow, or busy, that is a warning and no failure.

What may kill its process (a damaged model) or hold it for ever (a camera) runs in a child process besides.
"""

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from roost_broker.clock import MS, SECOND
from roost_broker.errors import Misuse, RoostError
from roost_broker.version import VERSION
from roost_edge.doctor.findings import Finding, Report, Verdict, fail, named, skipped, warn
from roost_edge.doctor.patient import Patient, Unseen

WHOLE_S = 120.0
"""The limits of all checks are made for an examination of this length; who gives it longer stretches them all."""
LIMIT_S = 20.0
"""For a check that hangs: a slow board that is starting needs ten times what a desk needs."""


@dataclass(frozen=True, slots=True)
class Check:
    """One question. `group/subject` names it where there are several of a kind."""

    name: str
    run: Callable[[Patient], Verdict]
    limit_s: float = LIMIT_S
    heavy: bool = False
    """Needs much memory: those that do run one after another."""
    hangs: str = "Look at what it waits for: a dying card, a network folder that does not answer."
    """What to do when it does not end."""

    @property
    def group(self) -> str:
        """What `--only` may say instead of the whole name."""
        return self.name.split("/", 1)[0]


@dataclass(slots=True, eq=False)
class _Run:
    check: Check
    answers: "queue.SimpleQueue[Finding]" = field(default_factory=queue.SimpleQueue)
    begun: bool = False


def chosen(checks: Sequence[Check], only: Sequence[str]) -> list[Check]:
    """The checks that are asked for, all if none is named. Raises `Misuse` for a name that none has."""
    for name in only:
        if not any(name in (check.name, check.group) for check in checks):
            groups = ", ".join(dict.fromkeys(check.group for check in checks))
            raise Misuse(f"There is no check {name!r} here.", f"There are: {groups}.")
    return [check for check in checks if not only or {check.name, check.group} & set(only)]


def patience_until(end_ns: int | None, now_ns: int) -> float:
    """By how much the limits are stretched when the examination may last from now to `end_ns`; never shortened."""
    return 1.0 if end_ns is None else max(1.0, (end_ns - now_ns) / (WHOLE_S * SECOND))


def examine(
    patient: Patient,
    checks: Sequence[Check],
    tell: Callable[[Finding], None] = lambda _finding: None,
    *,
    end_ns: int | None = None,
) -> Report:
    """Run all checks at once, the heavy ones in a row. `tell` hears each finding in the order of the checks.

    At `end_ns` of the monotonic clock (None: never) the report is made of what there is.
    """
    began = patient.clock.monotonic_ns()
    runs = [_Run(check) for check in checks]
    turn = threading.Semaphore()  # not a lock: the thread that gives it back may be another one's successor
    for run in runs:
        threading.Thread(target=_work, args=(run, patient, turn), name=run.check.name, daemon=True).start()
    findings, patience = [], 0.0
    for run in runs:
        # A heavy check waits for those before it, each of which has its whole time.
        own = run.check.limit_s * patient.patience
        patience = patience + own if run.check.heavy else patience
        limit = patience if run.check.heavy else own
        own_end = began + int(limit * SECOND)
        end = own_end if end_ns is None else min(own_end, end_ns)
        try:
            finding = run.answers.get(timeout=max(0, end - patient.clock.monotonic_ns()) / SECOND)
        except queue.Empty:
            late = fail(f"It did not end within {limit:g} s.", run.check.hangs) if end == own_end else _missing(run)
            finding = named(run.check.name, late, (patient.clock.monotonic_ns() - began) // MS)
        tell(finding)
        findings.append(finding)
    return Report(
        node=patient.settings.node.name,
        version=VERSION,
        timestamp=patient.clock.wall_ns() // MS,
        took_ms=(patient.clock.monotonic_ns() - began) // MS,
        ok=not any(finding.status == "fail" for finding in findings),
        checks=findings,
    )


def _missing(run: _Run) -> Verdict:
    """For a check that the end of the whole examination came upon."""
    remedy = f"Ask for it alone: --only {run.check.name}. On a slow device raise desk.doctor_timeout_s."
    if not run.begun:
        return skipped("Its turn had not come when the examination's time was over.", remedy)
    return warn("It had not ended when the examination's time was over.", remedy)


def _work(run: _Run, patient: Patient, turn: threading.Semaphore) -> None:
    if not run.check.heavy:
        run.begun = True
        run.answers.put(_examined(run.check, patient))
        return
    if not turn.acquire(timeout=run.check.limit_s * patient.patience):
        run.answers.put(named(run.check.name, skipped("The one before it takes all the time."), 0))
        return
    try:
        run.begun = True
        run.answers.put(_examined(run.check, patient))
    finally:
        turn.release()


def _examined(check: Check, patient: Patient) -> Finding:
    began = patient.clock.monotonic_ns()
    try:
        verdict = check.run(patient)
    except PermissionError as error:
        verdict = skipped(f"This user may not look at {error.filename or 'it'}.", "Run it as root.")
    except Unseen as error:
        verdict = skipped(error.problem, error.remedy)
    except RoostError as error:
        judge = skipped if isinstance(error.__cause__, PermissionError) else fail
        verdict = judge(error.problem, error.remedy or "See what it names.")
    except OSError as error:
        verdict = fail(f"{error}.", "See that the file named is there, and that its medium works.")
    except Exception as error:  # noqa: BLE001  # a defect of one check must not hide what the others found
        verdict = fail(f"The check itself failed: {type(error).__name__}: {error}.", "That is a defect: report it.")
    return named(check.name, verdict, (patient.clock.monotonic_ns() - began) // MS)
