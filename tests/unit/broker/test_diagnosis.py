"""What a request's diagnostics ask of each component, and what is refused of it."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from roost_broker.diagnosis import NOTHING, log_step, read, with_overrides
from roost_broker.faults import Fault
from roost_broker.messages import Diagnostics, Input, Provenance, Request
from roost_edge import logs

ASKING = Diagnostics(
    trace=True,
    log_level="debug",
    faults=[
        {"model": "champion", "fault": "slow:100"},
        {"component": "injector", "fault": "drop"},
        {"component": "rendezvous", "fault": "slow:40"},
        {"component": "decoy", "fault": "wrong"},
    ],
)


def test_a_request_without_diagnostics_costs_nothing_and_asks_for_nothing() -> None:
    assert read(None, qa=True, component="injector") is NOTHING
    assert read(Diagnostics(), qa=True, component="injector") is NOTHING
    assert not NOTHING


@pytest.mark.parametrize(
    ("component", "model", "fault"),
    [
        ("model", "champion", Fault("slow", 100)),
        ("model", "fast", None),
        ("injector", "", Fault("drop")),
        ("rendezvous", "", Fault("slow", 40)),
        ("decoy", "", Fault("wrong")),
    ],
)
def test_in_qa_each_component_gets_its_own_fault_and_everybody_the_trace_and_the_log_level(
    component: str, model: str, fault: Fault | None
) -> None:
    granted = read(ASKING, qa=True, component=component, model=model)
    assert (granted.fault, granted.trace, granted.log_level, granted.refused) == (fault, True, logging.DEBUG, ())


def test_elsewhere_everything_is_refused_by_name_and_only_ones_own_fault() -> None:
    refused = read(ASKING, qa=False, component="model", model="fast")
    assert (refused.trace, refused.log_level, refused.fault) == (False, None, None)
    assert refused.refused == ("trace", "log-level")
    assert read(ASKING, qa=False, component="decoy").refused == ("fault", "trace", "log-level")


def test_a_fault_of_the_component_model_without_a_name_is_every_models() -> None:
    asked = Diagnostics(faults=[{"component": "model", "fault": "error"}])
    assert read(asked, qa=True, component="model", model="anyone").fault == Fault("error")


@pytest.mark.parametrize(
    ("entry", "component"),
    [
        ({"component": "decoy", "fault": "hang"}, "decoy"),
        ({"component": "rendezvous", "fault": "kill"}, "rendezvous"),
        ({"model": "champion"}, "model"),
        ({"component": "camera", "fault": "error"}, "injector"),
        ({"component": ["x"], "fault": "error"}, "injector"),
        ({}, "injector"),
    ],
)
def test_a_fault_that_cannot_be_is_refused_by_whom_it_is_meant_for_and_by_the_injector_otherwise(
    entry: dict[str, object], component: str
) -> None:
    asked = Diagnostics(faults=[entry])
    assert read(asked, qa=True, component=component, model="champion").refused == ("fault-unknown",)
    others = {"model", "injector", "rendezvous", "decoy"} - {component}
    assert all(read(asked, qa=True, component=other, model="fast") is NOTHING for other in others)


def test_the_first_of_several_faults_counts() -> None:
    asked = Diagnostics(faults=[{"model": "a", "fault": "error"}, {"model": "a", "fault": "drop"}])
    assert read(asked, qa=True, component="model", model="a").fault == Fault("error")


def test_overrides_are_recorded_once_the_general_ones_by_the_injector() -> None:
    told = [
        read(ASKING, qa=True, component=component, model="champion").overrides(name)
        for component, name in (("injector", "injector"), ("model", "model champion"), ("rendezvous", "rendezvous"))
    ]
    assert told == [
        ["trace", "log-level debug", "fault injector drop"],
        ["fault model champion slow:100"],
        ["fault rendezvous slow:40"],
    ]
    request = Request(
        timestamp=0,
        message_id="0" * 32,
        request_id="1" * 32,
        return_address="roost/n/t/results/r",
        deadline_ms=1,
        input=Input(),
        provenance=Provenance(overrides=[f"{n}" for n in range(15)]),
    )
    assert with_overrides(request, ["a", "b"]).provenance.overrides[-2:] == ["14", "a"]  # no more than a message holds


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    logs.setup("a-role", "warning", stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_request_is_logged_at_its_own_level_in_a_process_that_logs_less(written: io.StringIO) -> None:
    log = logging.getLogger("roost_broker.test")
    asked = read(Diagnostics(log_level="info"), qa=True, component="decoy")
    log.info("somebody else's")
    log_step(log, NOTHING, "r0", "not asked", level=logging.ERROR)
    log_step(log, asked, "r1", "too fine")
    log_step(log, asked, "r1", "answered", level=logging.INFO, label="hen")
    (line,) = written.getvalue().splitlines()
    entry = json.loads(line)
    assert (entry["requestId"], entry["label"], entry["level"], entry["message"]) == ("r1", "hen", "info", "answered")
