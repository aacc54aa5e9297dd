from roost_broker.messages import encode
from roost_broker.topics import NodeTopics

NODE = NodeTopics("coop-1")
TASK = NODE.task("henhouse")


def test_a_request_answered_and_archived_is_counted_once_on_each_way(device):
    request = device.request()
    device.score(request, "champion")
    device.result(request)
    device.receipt(request)
    view = device.view
    assert (view.requests, view.answered, view.in_time, view.archived) == (1, 1, 1, 1)
    assert view.sla_attainment == 1
    assert view.causes == {"preferred": 1}
    assert (view.models["champion"].answered, view.models["champion"].official) == (1, 1)


def test_before_anything_was_said_nothing_is_claimed(device):
    assert device.view.sla_attainment is None
    assert device.view.latest is None
    assert device.view.role_counts("capture-nest") == {}


def test_repetitions_count_once(device):
    request = device.request()
    result, receipt, score = device.result(request), device.receipt(request), device.score(request, "fast")
    alert = device.alert()
    for topic, message in (
        (TASK.input, request),
        (TASK.results("nest"), result),
        (TASK.receipts, receipt),
        (TASK.scores("fast"), score),
        (NODE.camera("nest").events, alert),
    ):
        device.view.take(topic, encode(message))
    view = device.view
    assert (view.requests, view.answered, view.archived, view.sightings) == (1, 1, 1, 1)
    assert view.models["fast"].answered == 1


def test_a_request_on_raw_is_not_yet_one_the_models_have_seen(device):
    request = device.request()
    device.view.take(TASK.raw, encode(request))
    assert device.view.requests == 1


def test_an_answer_after_the_sla_lowers_the_attainment(device):
    device.result(device.request(), elapsed_ms=2000.0)
    device.result(device.request(), elapsed_ms=2000.1)
    assert device.view.sla_attainment == 0.5


def test_an_answer_is_late_when_the_requests_time_was_over_and_not_for_coming_second(device):
    request = device.request()
    device.result(request, cause="fallback", model="fast", outcomes=device.outcomes(champion="pending"))
    device.score(request, "fast")
    device.wait(ms=2000)
    device.score(request, "champion")
    assert (device.view.models["champion"].late, device.view.models["fast"].late) == (1, 0)
    assert device.view.models["canary"].ignored


def test_a_default_is_no_models_answer(device):
    device.result(device.request(), cause="default")
    assert device.view.causes == {"default": 1}
    assert all(lane.official == 0 for lane in device.view.models.values())


def test_a_last_will_that_comes_after_its_successor_is_not_believed(device):
    device.model_state("champion", "ready", session=2)
    device.model_state("champion", "gone", session=1)
    assert device.view.models["champion"].state == "ready"
    device.role_state("capture-nest", session=2, finished=1)
    device.role_state("capture-nest", session=1, finished=0)
    assert device.view.role_counts("capture-nest") == {"finished": 1}


def test_what_does_not_decode_is_counted_and_pictures_and_cleared_topics_are_not_mistaken_for_it(device):
    device.view.take(TASK.scores("champion"), b"\xff\x00")
    device.view.take(NODE.camera("nest").snapshot, b"")
    device.view.take(TASK.schedule, b"")
    device.schedule({"task": "henhouse"})
    assert device.view.unreadable == 2
    assert device.view.schedule is None


def test_alerts_are_kept_newest_last_and_sightings_counted_by_their_beginning(device):
    device.alert("new")
    device.alert("update", requests=2)
    device.alert("end", requests=2)
    assert [alert.type for alert in device.view.alerts] == ["new", "update", "end"]
    assert device.view.sightings == 1


def test_however_long_it_runs_what_is_remembered_is_bounded(device):
    for _ in range(1_200):
        device.result(device.request())
        device.alert()
    assert device.view.answered == 1_200
    assert len(device.view._requests) == 1_000
    assert len(device.view.alerts) == 50
