"""A roll-out to many devices, each with the agent's own machine and counter: nothing of them is simulated."""

from dataclasses import replace

import pytest
from ota_device import OtaDevice, content

from roost_broker.clock import MS, SECOND
from roost_edge.ota import events as e
from roost_edge.ota.goal import goal_of
from roost_edge.ota.lines import SLOTS, Line
from roost_edge.ota.reporting import line_report
from roost_edge.ota.trial import TrialCounter
from roost_models.rollout import planning
from roost_models.rollout.actions import Action, Command, Halted, SetDocument
from roost_models.rollout.controller import Controller
from roost_models.rollout.document import BundleRef, Rollout, assignment
from roost_models.rollout.evidence import DeviceReport
from roost_models.rollout.policy import Baseline, Policy
from roost_models.rollout.progress import Order, Progress

NODES = [f"coop-{number}" for number in range(60)]
NEW = BundleRef(name="hen", version="b", digest=content("b").digest)
POLICY = Policy(min_dwell_s=600, max_dwell_s=3600, quiet_s=600, hold_s=1200)
START = 1_800_000_000 * SECOND
MINUTE = 60 * SECOND


class Coop:
    """One device: the machine around its card, and the counter beside it. `wrong`: every so many-th answer differs."""

    def __init__(self, node: str, wrong: int) -> None:
        self.node, self.wrong = node, wrong
        self.device = OtaDevice()
        self.line = Line(task="nest", model="champion", bundle="hen")
        self.counter = TrialCounter(self.line)
        self.phases: list[str] = []
        self._asked = 0
        self._reports = 0

    def look(self, document: Rollout | None, now: int) -> None:
        """It polls the registry and does what is wanted; then so many requests come."""
        if document is not None:
            self.device.tell(e.DocumentSeen(goal_of(document, self.node, {})))
            self.device.settle()
        standing = self.device.card
        for slot in SLOTS:
            self.counter.holds(slot, standing.slots.get(slot), now // MS)
            if slot in self.device.running:
                self.counter.ready(slot, now // MS)
        for _ in range(60):
            self._asked += 1
            request = f"{self._asked:032x}"
            self.counter.request(request, now)
            for slot, bundle in self.device.running.items():
                differs = bundle == content("b") and self._asked % self.wrong == 0
                self.counter.score(self.line.name(slot), request, "none" if differs else "hen", 40.0)
            self.counter.official(self.line.name(standing.active), request)
        if not self.phases or self.phases[-1] != self.device.phase:
            self.phases.append(self.device.phase)

    def report(self, now: int) -> DeviceReport:
        self._reports += 1
        told = line_report(self.line, self.device.machine, self.counter)
        return DeviceReport(
            node=self.node,
            report_id=f"{self.node} {self._reports}",
            order=self._reports,
            line=told,
            sent_ms=now // MS,
        )


class Fleet:
    """Every minute each device looks, works and reports; the controller's documents are published at once."""

    def __init__(self, wrong: int) -> None:
        self.coops = [Coop(node, wrong) for node in NODES]
        self.now = START
        self.document: Rollout | None = None
        self.halted: Halted | None = None
        plan = planning.make(
            POLICY, Baseline(previous=0.97), devices=60, requests_per_day=86_400, rollout_id="r", nodes=NODES
        )
        order = Order(rollout_id="r", task="nest", bundle=NEW, plan=plan, author="ann")
        self.controller = Controller(Progress(order=order), now=START)

    def do(self, actions: tuple[Action, ...]) -> None:
        for action in actions:
            if isinstance(action, SetDocument):
                self.document = action.document
            if isinstance(action, Halted):
                self.halted = action

    def minute(self) -> None:
        self.now += MINUTE
        for coop in self.coops:
            coop.look(self.document, self.now)
            self.do(self.controller.handle(coop.report(self.now), self.now))

    def roles(self) -> dict[str, str]:
        assert self.document is not None
        return {node: assignment(self.document, node, {}) for node in NODES}

    def serving(self) -> set[str]:
        return {coop.node for coop in self.coops if coop.device.official()[0] == content("b")}


def test_machines_go_from_their_assignment_through_shadow_to_serving_and_all_back_when_it_is_aborted() -> None:
    fleet = Fleet(wrong=40)
    fleet.do(fleet.controller.handle(Command("start", "ann"), fleet.now))
    for _ in range(60 * 24):
        fleet.minute()
        serves = {node for node, role in fleet.roles().items() if role == "serving"}
        assert fleet.serving() <= serves  # a machine never answers with it before the document says so
        if len(fleet.serving()) > 1:
            break
    assert len(fleet.serving()) > 1, fleet.controller.gates
    assert fleet.controller.fleet.outcomes["impossible"] == fleet.controller.fleet.outcomes["other-bundle"] == 0
    assert all(coop.phases[-2:] == ["shadow", "serving"] for coop in fleet.coops if coop.node in fleet.serving())
    fleet.do(fleet.controller.handle(Command("abort", "ann", "a bad feeling"), fleet.now))
    fleet.minute()
    fleet.minute()
    assert fleet.serving() == set()
    assert all(coop.device.running == {"a": content("a")} for coop in fleet.coops)
    assert fleet.controller.finished


@pytest.mark.parametrize("wrong", [2, 5])
def test_gates_on_what_the_machines_counted_halt_a_bundle_that_differs_before_it_serves_anywhere(wrong: int) -> None:
    fleet = Fleet(wrong=wrong)
    fleet.do(fleet.controller.handle(Command("start", "ann"), fleet.now))
    for _ in range(60):
        fleet.minute()
        if fleet.halted is not None:
            break
    assert fleet.halted is not None
    assert fleet.halted.gate.name == "previous"
    fleet.minute()
    assert all(coop.device.running == {"a": content("a")} for coop in fleet.coops)
    assert fleet.controller.fleet.ever_served == set()


def test_a_report_of_a_machine_that_is_played_again_changes_nothing() -> None:
    fleet = Fleet(wrong=40)
    fleet.do(fleet.controller.handle(Command("start", "ann"), fleet.now))
    old = fleet.coops[0].report(fleet.now)
    for _ in range(5):
        fleet.minute()
    before = fleet.controller.fleet.gather(0)
    again = replace(old, order=10**9, report_id="as if it were new")
    fleet.do(fleet.controller.handle(again, fleet.now))
    assert fleet.controller.fleet.outcomes["replayed"] == 1
    assert fleet.controller.fleet.gather(0) == before
