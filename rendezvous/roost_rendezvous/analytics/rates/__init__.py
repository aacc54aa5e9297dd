"""How often things happen: stops, changes of rate, what is expected when, and rates that go together.

The book, ch. 7, "Event Rate Change Detection". Everything counts in *expected events*: time multiplied by the predicted
rate, so that a quiet night and a busy noon are judged alike.
"""
