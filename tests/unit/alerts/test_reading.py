from roost_broker.clock import MS, SECOND
from roost_broker.messages import Answer, DefaultAnswer, FrameRef, Input, Result
from roost_edge.alerts.reading import read_result

WALL = 1_800_000_000 * SECOND
FRAME = FrameRef(sha256="a" * 64, bytes=10, path="aa/a.jpg", width=640, height=480)


def result(**changes):
    fields = {
        "timestamp": WALL // MS,
        "message_id": "1" * 32,
        "request_id": "2" * 32,
        "cause": "preferred",
        "answer": Answer(model="champion", version="1", label="egg", score=0.9),
        "elapsed_ms": 12.0,
        "sla_ms": 2000,
        "tags": {"camera": "nest"},
        "input": Input(frame=FRAME),
    }
    return Result(**(fields | changes))


def read(message, wall_ns=WALL):
    return read_result(message, task="henhouse", cameras=frozenset({"nest"}), wall_ns=wall_ns)


def test_a_result_is_reduced_to_what_a_sighting_needs():
    seen = read(result(), wall_ns=WALL + 3 * SECOND)
    assert (seen.request_id, seen.task, seen.camera, seen.label, seen.score) == (
        "2" * 32,
        "henhouse",
        "nest",
        "egg",
        0.9,
    )
    assert (seen.at_ms, seen.age_ns, seen.frame) == (WALL // MS, 3 * SECOND, FRAME)


def test_a_default_has_no_label_however_it_is_called():
    seen = read(result(cause="default", answer=None, default=DefaultAnswer(label="egg", reason="nobody answered")))
    assert seen.label is None


def test_a_result_of_no_camera_or_of_a_strange_one_is_named_so():
    assert read(result(tags={})) == "no-camera"
    assert read(result(tags={"camera": "../../etc"})) == "unknown-camera"


def test_a_clock_that_was_not_set_makes_nothing_look_old_and_the_future_is_not_negative():
    assert read(result(timestamp=5)).age_ns == 0
    assert read(result(), wall_ns=SECOND).age_ns == 0
    assert read(result(timestamp=WALL // MS + 5000)).age_ns == 0
