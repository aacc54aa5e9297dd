"""The schedule: which model is preferred, for how long, what is accepted after that, and when a default is given.

A schedule is data (Dunning & Friedman, ch. 3 "Rendezvous Style", and the webinar's "rendezvous schedule"):

    task = "henhouse"
    sla_ms = 2000                                 # an official result is on the return address by then
    ignore = ["canary"]                           # never official, whatever a step accepts
    rank = ["rules", "old"]                       # optional: order among the models that only "*" lets in
    cohort_tag = "camera"                         # whose value decides on the cohort
    [[step]]
    after_ms = 0
    accept = ["champion"]                         # exclusive time of the preferred model
    [[step]]
    after_ms = 1200
    accept = ["champion", "fast", "*"]            # "*" is any other model that is not ignored
    [default]
    after_ms = 1900
    label = "unknown"
    [rollout]
    challenger = 0.10                             # preferred for a tenth of the cameras
    [sample]
    canary = 0.01                                 # evaluates one request in a hundred
    [quorum.jury]                                 # usable in steps like a model
    members = ["a", "b", "c"]
    need = 2

Steps add up: what one step accepts, every later one accepts too. Preference is the order of first appearance
over the steps; models that only "*" lets in come last, by `rank`, then by name. `[random]` stands in the place of
`[rollout]` where the preferred model is drawn by lot for each request. What is ambiguous is refused, not guessed.
"""

from roost_rendezvous.schedule.document import Schedule
from roost_rendezvous.schedule.parts import ANY, MAX_MODELS, MAX_STEPS, Default, Quorum, Refused, Step
from roost_rendezvous.schedule.reading import load, parse
from roost_rendezvous.schedule.sentences import explain

to_object = Schedule.to_object

__all__ = [
    "ANY",
    "MAX_MODELS",
    "MAX_STEPS",
    "Default",
    "Quorum",
    "Refused",
    "Schedule",
    "Step",
    "explain",
    "load",
    "parse",
    "to_object",
]
