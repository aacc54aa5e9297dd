"""What a model has said, tallied for its state: bounded, whatever its author names its labels."""

from roost_models.scaffold.output_tally import LABELS, OTHERS, OutputTally


def test_a_model_that_has_answered_nothing_has_no_latency() -> None:
    assert OutputTally().percentile_ms(0.5) is None


def test_labels_beyond_the_bound_are_counted_together_and_none_is_lost() -> None:
    tally = OutputTally()
    for number in range(100):
        tally.answered(f"label-{number}", 1_000_000)
    tally.answered("label-0", 1_000_000)
    assert len(tally.labels) == LABELS + 1
    assert tally.labels["label-0"] == 2
    assert tally.labels[OTHERS] == 100 - LABELS
    assert sum(tally.labels.values()) == 101


def test_percentiles_are_of_the_newest_answers() -> None:
    tally = OutputTally()
    for number in range(1000):
        tally.answered("hen", number * 1_000_000)
    assert tally.percentile_ms(0.0) == 744.0
    assert tally.percentile_ms(0.5) == 872.0
    assert tally.percentile_ms(0.99) == 997.0
    assert tally.percentile_ms(1.0) == 999.0
