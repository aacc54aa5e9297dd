"""The answer journal: what was written is found again, whatever happened to the file's end."""

from pathlib import Path

from roost_rendezvous.server.journal import AnswerJournal, Stored


def an_id(number: int) -> str:
    return f"{number:032x}"


def stored(number: int, size: int = 10) -> Stored:
    return Stored(topic="roost/n/t/results/door", payload=b'{"n":%d,"pad":"%s"}' % (number, b"x" * size))


def test_an_answer_is_found_with_the_same_bytes_and_its_rim(tmp_path: Path) -> None:
    journal = AnswerJournal(tmp_path)
    answer = Stored(topic="a/b", payload=b'{ "odd" :  1.50 }', response_topic="c/d", correlation=b"\x00\xff")
    assert journal.write(an_id(1), answer)
    assert journal.find(an_id(1)) == answer
    journal.close()
    again = AnswerJournal(tmp_path)
    assert again.find(an_id(1)) == answer
    assert list(again.ids()) == [an_id(1)]
    again.close()


def test_an_unknown_id_is_not_found(tmp_path: Path) -> None:
    journal = AnswerJournal(tmp_path)
    assert journal.find(an_id(7)) is None
    journal.close()


def test_a_torn_tail_is_cut_off_and_writing_goes_on(tmp_path: Path) -> None:
    journal = AnswerJournal(tmp_path)
    journal.write(an_id(1), stored(1))
    journal.write(an_id(2), stored(2))
    journal.close()
    [path] = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-9])
    again = AnswerJournal(tmp_path)
    assert list(again.ids()) == [an_id(1)]
    again.write(an_id(3), stored(3))
    again.close()
    last = AnswerJournal(tmp_path)
    assert list(last.ids()) == [an_id(1), an_id(3)]
    assert last.find(an_id(3)) == stored(3)
    last.close()


def test_a_line_of_rubbish_is_skipped(tmp_path: Path) -> None:
    journal = AnswerJournal(tmp_path)
    journal.write(an_id(1), stored(1))
    journal.close()
    [path] = tmp_path.iterdir()
    path.write_bytes(b"\x00\x00\x00\n" + b'{"id":"zz","to":"x","result":{}}\n' + path.read_bytes())
    again = AnswerJournal(tmp_path)
    assert again.find(an_id(1)) == stored(1)
    assert list(again.ids()) == [an_id(1)]
    again.close()


def test_files_and_ids_are_bounded_and_the_newest_stay(tmp_path: Path) -> None:
    journal = AnswerJournal(tmp_path, remember=50, segment_bytes=2_000)
    for number in range(500):
        journal.write(an_id(number), stored(number))
    assert len(list(tmp_path.iterdir())) == 2
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 4_000
    remembered = list(journal.ids())
    assert remembered[-1] == an_id(499)
    assert len(remembered) <= 50
    for request_id in remembered:
        assert journal.find(request_id) == stored(int(request_id, 16))
    assert journal.find(an_id(1)) is None
    journal.close()
    again = AnswerJournal(tmp_path, remember=50, segment_bytes=2_000)
    assert list(again.ids()) == remembered
    again.close()


def test_a_file_holds_no_more_answers_than_are_remembered(tmp_path: Path) -> None:
    journal = AnswerJournal(tmp_path, remember=10)
    for number in range(100):
        journal.write(an_id(number), stored(number))
    assert list(journal.ids()) == [an_id(number) for number in range(90, 100)]
    assert sum(path.read_bytes().count(b"\n") for path in tmp_path.iterdir()) <= 20
    journal.close()


def test_a_disk_that_refuses_costs_no_answer_and_spoils_no_line(tmp_path: Path) -> None:
    import resource
    import signal

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    journal = AnswerJournal(tmp_path)
    journal.write(an_id(1), stored(1))
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (300, limits[1]))
        assert not journal.write(an_id(2), stored(2, size=5_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert journal.failed_writes == 1
    assert journal.write(an_id(3), stored(3))
    journal.close()
    again = AnswerJournal(tmp_path)
    assert list(again.ids()) == [an_id(1), an_id(3)]
    again.close()


def test_a_copy_somebody_made_beside_the_journal_disturbs_nothing(tmp_path: Path) -> None:
    journal = AnswerJournal(tmp_path)
    journal.write(an_id(1), stored(1))
    journal.close()
    for name in ("answers-old.jsonl", "answers-1.jsonl", "answers-000001 (copy).jsonl", "answers-0000001.jsonl"):
        (tmp_path / name).write_bytes(b"kept")
    again = AnswerJournal(tmp_path)
    assert list(again.ids()) == [an_id(1)]
    again.close()
    assert (tmp_path / "answers-old.jsonl").read_bytes() == b"kept"


def test_two_slots_write_their_own_files_and_find_each_others_answers(tmp_path: Path) -> None:
    old = AnswerJournal(tmp_path)
    old.write(an_id(1), stored(1))
    new = AnswerJournal(tmp_path, slot="b")
    assert list(new.ids()) == [an_id(1)]
    old.write(an_id(2), stored(2))
    new.write(an_id(3), stored(3))
    assert new.find(an_id(1)) == stored(1)
    assert new.find(an_id(2)) == stored(2), "written since the last look"
    assert old.find(an_id(3)) == stored(3)
    assert {path.name for path in tmp_path.iterdir()} == {"answers-000001.jsonl", "answers-000001-b.jsonl"}
    old.close()
    new.close()


def test_a_line_that_the_other_slot_is_just_writing_is_left_alone_and_found_when_it_is_whole(tmp_path: Path) -> None:
    old = AnswerJournal(tmp_path)
    old.write(an_id(1), stored(1))
    old.write(an_id(2), stored(2))
    old.close()
    path = tmp_path / "answers-000001.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    new = AnswerJournal(tmp_path, slot="b")
    assert list(new.ids()) == [an_id(1)]
    assert path.read_bytes() == whole[:-5]
    path.write_bytes(whole)
    new.refresh()
    assert list(new.ids()) == [an_id(1), an_id(2)]
    assert new.find(an_id(2)) == stored(2)
    new.close()


def test_an_answer_in_a_file_that_the_other_slot_has_removed_is_forgotten(tmp_path: Path) -> None:
    old = AnswerJournal(tmp_path, remember=10)
    for number in range(5):
        old.write(an_id(number), stored(number))
    new = AnswerJournal(tmp_path, slot="b", remember=40)
    new.write(an_id(100), stored(100))
    for number in range(5, 40):
        old.write(an_id(number), stored(number))
    assert new.find(an_id(1)) is None
    assert new.find(an_id(39)) == stored(39)
    assert new.find(an_id(100)) == stored(100)
    assert len(list(new.ids())) <= 40
    old.close()
    new.close()


def test_after_several_changes_of_slot_the_newest_answers_are_remembered_in_order(tmp_path: Path) -> None:
    import os

    for turn, slot in enumerate(("", "b", "")):
        journal = AnswerJournal(tmp_path, slot=slot)
        journal.write(an_id(turn), stored(turn))
        journal.close()
        for age, path in enumerate(sorted(tmp_path.iterdir(), key=lambda one: one.stat().st_mtime_ns)):
            os.utime(path, ns=(age, age))
    last = AnswerJournal(tmp_path, slot="b")
    assert list(last.ids())[-1] == an_id(2)
    assert last.find(an_id(1)) == stored(1)
    last.close()
