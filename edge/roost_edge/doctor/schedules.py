"""The schedule of a task: is it in force, does it name who is there, and can it be kept."""

from pathlib import Path

from roost_broker.errors import RoostError
from roost_edge.doctor.findings import Facts, Verdict, fail, ok, together, warn
from roost_edge.doctor.patient import Patient
from roost_rendezvous import schedule
from roost_rendezvous.schedule import doubts
from roost_rendezvous.schedule_report import Knowledge


def schedule_of(patient: Patient, task: str) -> Verdict:
    """The one on the topic where the broker answers, else the one of the settings."""
    section = patient.settings.tasks[task]
    try:
        retained = patient.seen().schedules.get(task)
    except RoostError:
        retained = None
    try:
        agreed = schedule.parse(retained.schedule) if retained is not None else schedule.load(Path(section.schedule))
    except RoostError as error:
        where = "The schedule in force" if retained is not None else section.schedule
        return fail(f"{where} cannot be used: {error.problem}", error.remedy)
    facts: Facts = {"version": agreed.version, "slaMs": agreed.sla_ms}
    source = "in force" if retained is not None else "in the settings; which one is in force is not known"
    found = [ok(f"{agreed.version} is {source}: an answer within {agreed.sla_ms} ms.", **facts)]
    known = set(section.models) | {line.name("b") for line in patient.settings.lines if line.task == task}
    remedy = f"roost schedule show --task {task} explains it; roost schedule apply FILE puts another one in force."
    for doubt in doubts.about_names(agreed, known, broker_asked=False):
        found.append(warn(doubt, remedy))
    for sentence in Knowledge.read(patient.settings.layout.journal(task)).warnings(agreed):
        found.append(fail(sentence, f"Give the models more time or use quicker ones. {remedy}"))
    return together(found)
