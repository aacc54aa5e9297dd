"""A roll-out for a few devices, and reports as they would send them."""

from msgspec import structs

from roost_broker.clock import SECOND
from roost_broker.messages import Agreement, OtaLine, OtaPhase, OtaSlot, Trial
from roost_models.rollout import planning
from roost_models.rollout.document import BundleRef
from roost_models.rollout.evidence import DeviceReport
from roost_models.rollout.policy import Baseline, Policy
from roost_models.rollout.progress import Order, Progress

OLD = BundleRef(name="breeds", version="1", digest="a" * 64)
NEW = BundleRef(name="breeds", version="2", digest="b" * 64)
NODES = [f"coop-{n}" for n in range(100)]
NOW = 1_800_000_000 * SECOND
POLICY = Policy(min_dwell_s=600, max_dwell_s=3600, quiet_s=600, hold_s=1200)


def order(policy: Policy = POLICY) -> Order:
    plan = planning.make(
        policy, Baseline(previous=0.97), devices=100, requests_per_day=86_400, rollout_id="breeds-2", nodes=NODES
    )
    return Order(rollout_id="breeds-2", task="nest", bundle=NEW, previous=OLD, plan=plan, author="ann")


def planned(policy: Policy = POLICY) -> Progress:
    return Progress(order=order(policy))


def trial(
    *, requests: int = 1000, same: int = 970, of: int = 1000, official: int = 0, restarts: int = 0, since: int = 1
) -> Trial:
    return Trial(
        bundle=NEW.name,
        version=NEW.version,
        digest=NEW.digest,
        since=since,
        requests=requests,
        answered=requests,
        official=official,
        restarts=restarts,
        agreements=[Agreement(model="champion", same=same, of=of)],
        p99_ms=80.0,
        previous_p99_ms=80.0,
    )


def report(
    node: str = "coop-1",
    number: int = 1,
    *,
    phase: OtaPhase = "shadow",
    generation: int = 1,
    rollout: str = "breeds-2",
    counted: Trial | None = None,
    signed: bool | None = None,
    serves: bool = False,
) -> DeviceReport:
    active = NEW if serves else OLD
    line = OtaLine(
        task="nest",
        model="champion",
        bundle="breeds",
        phase=phase,
        rollout=rollout,
        generation=generation,
        wanted="2",
        slots=[
            OtaSlot(
                slot="a",
                model="champion",
                bundle="breeds",
                version=active.version,
                digest=active.digest,
                state="active",
            )
        ],
        trial=counted,
    )
    return DeviceReport(node=node, report_id=f"{node}-{number}", order=number, line=line, signed=signed)


def with_trial(known: DeviceReport, counted: Trial) -> DeviceReport:
    assert known.line is not None
    return DeviceReport(
        node=known.node,
        report_id=known.report_id,
        order=known.order,
        line=structs.replace(known.line, trial=counted),
    )
