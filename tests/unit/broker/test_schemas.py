import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from roost_broker import catalogue, schemas
from roost_broker.messages import (
    MESSAGE_TYPES,
    Agreement,
    Alarm,
    AlarmMarker,
    Alarms,
    AlarmSignal,
    Alert,
    Answer,
    Ask,
    Availability,
    CameraStatus,
    DeadLetter,
    Declined,
    DefaultAnswer,
    Diagnostics,
    Event,
    FrameRef,
    Hop,
    Info,
    InjectedState,
    InjectedValue,
    Input,
    Issued,
    Message,
    ModelOutcome,
    ModelState,
    Motion,
    Notice,
    OpenAlarm,
    OtaLine,
    OtaOrder,
    OtaSlot,
    OtaState,
    Output,
    Provenance,
    Receipt,
    Reply,
    Request,
    Result,
    RoleState,
    ScheduleSet,
    Score,
    Snapshot,
    Span,
    StoreAlarm,
    StoreKeeper,
    StoreState,
    Suggestion,
    SwitchState,
    Token,
    Trace,
    Trial,
    decode,
    encode,
)
from roost_broker.topics import NodeTopics

ID, DIGEST = "0" * 32, "a" * 64
FRAME = FrameRef(sha256=DIGEST, bytes=48_211, path=f"aa/{DIGEST}.jpg", width=640, height=480)
HEAD: dict[str, Any] = {
    "timestamp": 1_501_020_498_314,
    "message_id": ID,
    "provenance": Provenance(
        path=[Hop(node="coop-1", component="capture", version="0.1.0", at=1)], trace_parent="00-1"
    ),
    "diagnostics": Diagnostics(trace=True, log_level="debug", schedule={"sla_ms": 1}, faults=[{"slow_ms": 5}]),
}
OPEN_ALARM = OpenAlarm(
    alarm_id="0" * 16,
    task="henhouse",
    state="acknowledged",
    verdict="model",
    sentence="champion says hen never since 08:00, usually 14 times an hour",
    reasons=["The canary saw nothing new."],
    how="one signal",
    nines=4.5,
    per_week=0.01,
    opened_at=1,
    updated_at=3,
    acknowledged_at=2,
    acknowledged_by="operator",
    ended_at=4,
    ending="calm",
    signals=[
        AlarmSignal(
            name="henhouse/score/champion/hen",
            kind="score",
            subject="model",
            about="champion",
            side="operational",
            nines=4.5,
            share=0.9,
            normal=0.8,
            now=0.1,
            unit="1",
            sentence="every score of hen is below 0.1",
            since=1,
        )
    ],
    markers=[AlarmMarker(at=1, text="champion 4 answers 10 %")],
)
EXAMPLES: tuple[Message, ...] = (
    Request(
        **HEAD,
        request_id=ID,
        return_address="roost/coop-1/henhouse/results/nest",
        deadline_ms=2000,
        issued=Issued(boot=ID, seq=7, monotonic_ns=9, attempt=2, clock="unsynced"),
        tags={"camera": "nest"},
        input=Input(frame=FRAME, inline="AAAA", values={"t": 21.5}),
        state={"door": "open"},
    ),
    Score(
        **HEAD,
        request_id=ID,
        model="champion",
        version="3",
        outputs=[Output(label="egg", score=0.9), Output(label="open_door", score=0.1)],
        compute_ms=1.5,
        batch=4,
        bundle=DIGEST,
        runtime="tflite-runtime 2.14.0 float32",
        saw=DIGEST,
    ),
    Declined(**HEAD, request_id=ID, model="champion", version="3", reason="behind", detail="12 newer", saw=DIGEST),
    Result(
        **HEAD,
        request_id=ID,
        cause="fallback",
        answer=Answer(model="fast", version="1", label="egg", score=0.7, outputs=[Output(label="egg", score=0.7)]),
        elapsed_ms=612.4,
        sla_ms=2000,
        late=True,
        schedule_version="7",
        models=[
            ModelOutcome(model="champion", version="3", status="pending"),
            ModelOutcome(
                model="fast", version="1", status="answered", elapsed_ms=3.0, label="egg", score=0.7, ignored=True
            ),
        ],
        tags={"camera": "nest"},
        input=Input(frame=FRAME),
    ),
    Result(
        **HEAD,
        request_id=ID,
        cause="default",
        default=DefaultAnswer(label="unknown", reason="nobody answered"),
        elapsed_ms=1900.0,
        sla_ms=2000,
    ),
    Receipt(**HEAD, request_id=ID, saw=DIGEST, duplicate=True),
    ScheduleSet(**HEAD, task="henhouse", version="7", schedule={"sla_ms": 2000}, author="me", why="promotion"),
    ModelState(
        **HEAD,
        model="champion",
        version="3",
        bundle=DIGEST,
        state="ready",
        session=12,
        runtime="x",
        detail="y",
        counts={"answered": 5},
    ),
    RoleState(**HEAD, role="decoy", state="ready", session=3, version="0.1.0", detail="d", counts={"archived": 1}),
    InjectedState(
        **HEAD,
        task="henhouse",
        role="injector-henhouse",
        values={
            "door": InjectedValue(value="open", condition="stale", age_ms=90_000, source="topic a/b", problem="empty")
        },
    ),
    Availability(**HEAD, state="online", session=4),
    Info(
        **HEAD,
        node="coop-1",
        version="0.1.0",
        tasks=["henhouse"],
        cameras=["nest"],
        models={"a": "1"},
        system={"p": "q"},
    ),
    Event(**HEAD, kind="schedule-refused", detail="why", data={"version": "8"}),
    Motion(**HEAD, camera="nest", state="on", event_id=ID, area=0.25),
    Alert(
        **HEAD,
        type="new",
        alert_id=ID,
        camera="nest",
        task="henhouse",
        label="blue_jay",
        score=0.8,
        requests=3,
        started_at=1,
        last_at=2,
        request_id=ID,
        frame=FRAME,
    ),
    Snapshot(**HEAD, camera="nest", label="blue_jay", request_id=ID, picture="/9j/4A=="),
    Token(
        **HEAD,
        kind="transition",
        component="rendezvous",
        handover_id=ID,
        old="rendezvous-henhouse",
        new="rendezvous-henhouse-b",
        location="handover/henhouse",
    ),
    Trace(
        **HEAD,
        request_id=ID,
        component="model fast",
        boot=ID,
        spans=[Span(name="evaluate", start_ns=1, duration_ns=2, attributes={"batch": "4"})],
    ),
    DeadLetter(
        **HEAD, topic="roost/coop-1/henhouse/input", reason="not JSON", reader="rendezvous", size=3, head="AAAA"
    ),
    Ask(**HEAD, verb="doctor", transaction="7", data={"only": ["storage"]}),
    Reply(**HEAD, verb="doctor", transaction="7", status="error", problem="It is busy.", remedy="Ask again."),
    SwitchState(**HEAD, camera="nest", switch="alerts", state="off"),
    CameraStatus(**HEAD, camera="nest", state="online", label="hen", score=0.9, seen_at=1, open=["hen"]),
    Notice(**HEAD, rule="hens", kind="seen", text="hen on nest at 10:00 (90%).", camera="nest", label="hen"),
    StoreState(
        **HEAD,
        free_bytes=5,
        size_bytes=9,
        reserve_bytes=1,
        keepers={"decoy-nest": StoreKeeper(held_bytes=2, budget_bytes=3, looked_at=1)},
        records={"archive/nest/archive.db": 1},
        alarms=[StoreAlarm(kind="not-run", who="decoy-nest", detail="It has not run.")],
    ),
    Alarms(**HEAD, task="henhouse", open=[OPEN_ALARM], signals=60, able=50, watched_since=5, why_not="not enough"),
    Alarm(**HEAD, change="opened", alarm=OPEN_ALARM),
    OtaState(
        **HEAD,
        node="coop-1",
        version="0.1.0",
        tags={"site": "north"},
        lines=[
            OtaLine(
                task="henhouse",
                model="champion",
                bundle="breeds",
                phase="shadow",
                rollout="breeds-1.1.0",
                generation=2,
                wanted="1.1.0",
                slots=[
                    OtaSlot(
                        slot="b", model="champion-b", bundle="breeds", version="1.1.0", digest=DIGEST, state="shadow"
                    )
                ],
                trial=Trial(
                    bundle="breeds",
                    version="1.1.0",
                    digest=DIGEST,
                    since=1,
                    requests=3,
                    answered=2,
                    agreements=[Agreement(model="canary", same=1, of=2)],
                    p50_ms=1.5,
                    labels={"hen": 2},
                ),
            )
        ],
        key_id=DIGEST,
        signature="00",
    ),
    OtaOrder(**HEAD, transaction="t-1", do="check"),
    Suggestion(**HEAD, request_id=ID, frame=DIGEST, label="blue_jay", author="@hens", source="twitter", at=1),
)


def committed(name: str) -> dict[str, Any]:
    path = schemas.schemas_folder() / schemas.file_name(name)
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def test_the_committed_schemas_are_those_of_the_structs() -> None:
    assert schemas.stale(schemas.schemas_folder()) == [], "run: python -m roost_broker.schemas"


def test_the_committed_topic_list_is_that_of_the_catalogue() -> None:
    assert catalogue.document().read_text(encoding="utf-8") == catalogue.render(), (
        "run: python -m roost_broker.catalogue"
    )


def test_there_is_an_example_of_every_message() -> None:
    assert {type(example) for example in EXAMPLES} == set(MESSAGE_TYPES)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: type(example).__name__)
def test_an_encoded_message_is_valid_under_its_committed_schema_and_spoilt_it_is_not(example: Message) -> None:
    payload = encode(example)
    assert decode(payload) == example
    loose = json.loads(payload)
    schema = committed(loose["schema"])
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    validator.validate(loose)
    validator.validate({**loose, "fieldOfTheFuture": 1})
    for spoilt in (
        {**loose, "messageId": "no id"},
        {**loose, "timestamp": "now"},
        {**loose, "schema": "roost.other/1"},
    ):
        with pytest.raises(ValidationError):
            validator.validate(spoilt)
    for required in schema["required"]:
        with pytest.raises(ValidationError):
            validator.validate({key: value for key, value in loose.items() if key != required})


def test_schemas_describe_themselves_and_refer_to_nothing_outside() -> None:
    ids = set()
    for name, schema in schemas.all_schemas().items():
        assert schema["title"] == name
        assert schema["description"].endswith((".", "…", "`."))
        ids.add(schema["$id"])
        assert '"$ref": "http' not in json.dumps(schema)
    assert len(ids) == len(MESSAGE_TYPES)


def test_a_field_docstring_is_its_description() -> None:
    assert committed("roost.score/1")["properties"]["outputs"]["description"] == "Best first."
    assert committed("roost.request/1")["properties"]["state"]["description"].startswith("External state")


def test_writing_repairs_a_folder_and_removes_what_is_too_much(tmp_path: Path) -> None:
    assert len(schemas.write(tmp_path)) == len(MESSAGE_TYPES)
    (tmp_path / "roost.score-1.json").write_text("{}", encoding="utf-8")
    (tmp_path / "roost.retired-1.json").write_text("{}", encoding="utf-8")
    assert schemas.stale(tmp_path) == ["roost.retired-1.json", "roost.score-1.json"]
    schemas.write(tmp_path)
    assert schemas.stale(tmp_path) == []


def test_every_topic_that_is_built_is_in_the_catalogue_with_its_schema() -> None:
    device = NodeTopics("coop-1")
    task, camera = device.task("henhouse"), device.camera("nest")
    expected = {
        device.availability: ("roost.availability/1",),
        device.info: ("roost.info/1",),
        device.event: ("roost.event/1",),
        device.role("decoy"): ("roost.role/1",),
        device.ota: ("roost.ota/1",),
        device.request("ota"): ("roost.ota-order/1",),
        device.request("doctor"): ("roost.ask/1",),
        device.request("info"): ("roost.ask/1",),
        device.request("probe"): ("roost.ask/1",),
        device.request("picture"): ("roost.ask/1",),
        device.request("alerts"): ("roost.ask/1",),
        device.request("notice"): ("roost.ask/1",),
        device.request("alarms"): ("roost.ask/1",),
        device.request("acknowledge"): ("roost.ask/1",),
        device.alarms: ("roost.alarms/1",),
        device.alarm: ("roost.alarm/1",),
        device.notices: ("roost.notice/1",),
        device.store: ("roost.store/1",),
        device.response("doctor"): ("roost.answer/1",),
        device.deadletter: ("roost.deadletter/1",),
        task.raw: ("roost.request/1", "roost.token/1"),
        task.input: ("roost.request/1", "roost.token/1"),
        task.scores("fast"): ("roost.score/1", "roost.declined/1", "roost.token/1"),
        task.results("nest"): ("roost.result/1",),
        task.receipts: ("roost.receipt/1",),
        task.schedule: ("roost.schedule/1",),
        task.model_state("fast"): ("roost.model-state/1",),
        task.model_state("fast", 2): ("roost.model-state/1",),
        task.state: ("roost.state/1",),
        task.traces: ("roost.trace/1",),
        task.suggestions: ("roost.suggestion/1",),
        task.alarms: ("roost.alarms/1",),
        task.alarm: ("roost.alarm/1",),
        task.deadletter: ("roost.deadletter/1",),
        camera.motion: ("roost.motion/1",),
        camera.events: ("roost.alert/1",),
        camera.snapshot: ("roost.snapshot/1",),
        camera.picture: (),
        camera.status: ("roost.camera/1",),
        camera.switch_set("alerts"): (),
        camera.switch_state("alerts"): ("roost.switch/1",),
        camera.switch_set("detection"): (),
        camera.switch_state("detection"): ("roost.switch/1",),
    }
    for topic, names in expected.items():
        entry = catalogue.entry_of(topic)
        assert entry is not None, topic
        assert catalogue.expected_schemas(topic) == names, topic
    assert catalogue.entry_of("roost/coop-1/henhouse/unheard-of") is None
    assert len(expected) == len(catalogue.topic_catalogue())


def test_every_message_has_a_topic() -> None:
    on_topics = {
        one for entry in catalogue.topic_catalogue() if not isinstance(entry.content, str) for one in entry.content
    }
    assert on_topics == set(MESSAGE_TYPES)
