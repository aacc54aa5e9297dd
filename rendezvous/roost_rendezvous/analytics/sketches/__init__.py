"""Distributions that are small, can be added to each other, and are kept by period (the book, ch. 5 and 7).

* `digest` (scores), `latency` (durations): the two sketches; `wire`, `latency_wire`: their bytes
* `book` (what is going on), `store` and `asking` (what is kept), `qualifiers` (whose)
* `omission` and `pace`: latency without coordinated omission; `windows`: the book's own repair
* `conversion`: scores to quantiles; `aggregates`: sums and averages for a time-series store
"""
