"""The measures of quality, against scikit-learn's and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    confusion_matrix,
    log_loss,
    precision_recall_fscore_support,
    roc_auc_score,
)

from challenge.training.evaluate.metrics import (
    Confusion,
    Predictions,
    compare_predictions,
    cumulative_gains_curve,
    measure,
)

THRESHOLD = 0.3
AP = "average_precision"


def answers(probability, delayed) -> Predictions:
    return Predictions(np.array(probability, np.float32), np.array(delayed, np.int8))


@st.composite
def both_classes(draw) -> Predictions:
    probabilities = st.sampled_from([0.05, 0.2, 0.3, 0.5, 0.9])
    pairs = st.lists(st.tuples(probabilities, st.integers(0, 1)), max_size=40)
    drawn = draw(pairs)
    return answers(*zip(*drawn, (draw(probabilities), 0), (draw(probabilities), 1)))


@given(both_classes())
def test_measures_are_those_of_scikit_learn(given_answers):
    probability = given_answers.probability.astype(float)
    delayed = given_answers.delayed
    quality = measure(given_answers, THRESHOLD, replicates=1)
    warned = probability > THRESHOLD
    precision, recall, f1, _ = precision_recall_fscore_support(
        delayed, warned, labels=[0, 1], zero_division=np.nan
    )
    expected = {
        "roc_auc": roc_auc_score(delayed, probability),
        "average_precision": average_precision_score(delayed, probability),
        "brier": brier_score_loss(delayed, probability),
        "log_loss": log_loss(delayed, probability),
        "on_time_precision": precision[0],
        "precision": precision[1],
        "on_time_recall": recall[0],
        "recall": recall[1],
    }
    for name, value in expected.items():
        measured = getattr(quality, name).value
        if np.isnan(value):
            assert measured is None, name
        else:
            assert measured == pytest.approx(value), name
    # Without a warning there is no precision, and scikit-learn's F1 is then unclear.
    if warned.any():
        assert quality.f1.value == pytest.approx(f1[1])
    counted = confusion_matrix(delayed, warned, labels=[0, 1]).ravel().tolist()
    assert quality.confusion == Confusion(*counted)


@given(both_classes(), st.floats(0.01, 1))
def test_delays_are_caught_as_by_looking_at_random_orders_of_equals(answers, share):
    """The mean over orders of equal flights is what each would give in part."""
    order = np.argsort(-answers.probability, kind="stable")
    probability, late = answers.probability[order], answers.delayed[order]
    wanted = share * len(late)
    expected = 0.0
    for value in np.unique(probability):
        group = probability == value
        before = int((probability > value).sum())
        taken = np.clip(wanted - before, 0, group.sum())
        expected += late[group].mean() * taken
    value, low, high = cumulative_gains_curve(answers, np.array([share]))
    assert value[0] == pytest.approx(expected / late.sum())
    assert low[0] <= high[0]


def test_lift_is_the_share_of_delays_in_the_first_tenth_over_that_of_all():
    # Ten of a hundred are looked at; eight of them are late, of all twenty.
    late = [1] * 8 + [0] * 2 + [1] * 12 + [0] * 78
    quality = measure(answers(np.linspace(0.9, 0.1, 100), late), THRESHOLD)
    assert quality.precision_at_10.value == pytest.approx(0.8)
    assert quality.lift_at_10.value == pytest.approx(4)
    assert quality.lift_at_10.low < 4 < quality.lift_at_10.high


def test_the_calibration_error_is_the_mean_gap_of_ten_bins():
    # Two bins: 0.25 was predicted for four flights, one of them late; 0.9 of one, on time.
    quality = measure(answers([0.25] * 4 + [0.9], [1, 0, 0, 0, 0]), THRESHOLD)
    assert quality.ece.value == pytest.approx((0 + 0.9) / 5)


@pytest.mark.parametrize(("probability", "bin_edge"), [(0.0, 0), (1.0, 1)])
def test_certainty_is_in_the_first_or_the_last_bin(probability, bin_edge):
    quality = measure(answers([probability], [bin_edge]), THRESHOLD)
    assert quality.ece.value == 0
    assert quality.log_loss.value == pytest.approx(0, abs=1e-6)


def test_a_probability_at_the_threshold_is_no_warning():
    quality = measure(answers([0.5, 0.5], [1, 0]), threshold=0.5)
    assert quality.confusion.delayed_as_on_time == 1
    assert (quality.recall.value, quality.precision.value) == (0, None)


def test_what_one_class_does_not_define_is_none():
    quality = measure(answers([0.1, 0.4], [0, 0]), THRESHOLD)
    for name in ("roc_auc", "average_precision", "recall"):
        assert getattr(quality, name).value is None
    assert quality.brier.value == pytest.approx((0.01 + 0.16) / 2)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(100):
        probability = rng.uniform(0.05, 0.5, size=400)
        sample = answers(probability, rng.random(400) < probability)
        # The expected squared error of a calibrated probability is its variance.
        truth = (probability * (1 - probability)).mean()
        interval = measure(sample, THRESHOLD, replicates=200).brier
        covered += interval.low <= truth <= interval.high
    assert 88 <= covered <= 100


def test_intervals_over_days_are_wider_where_flights_of_a_day_are_late_together():
    rng = np.random.default_rng(0)
    days = np.repeat(np.datetime64("2017-01-01") + np.arange(50), 40)
    rate = np.repeat(rng.choice([0.05, 0.5], 50), 40)
    late = (rng.random(2_000) < rate).astype(np.int8)
    probability = rng.random(2_000)

    def width(days):
        loss = measure(Predictions(probability, late, days), 0.5).log_loss
        return loss.high - loss.low

    assert width(days) > 1.2 * width(None)
    # Where a day is one flight, days are flights.
    assert width(np.arange(2_000)) == pytest.approx(width(None), rel=0.15)


def test_intervals_are_the_same_each_time():
    sample = answers([0.1, 0.2, 0.6, 0.7, 0.9], [0, 1, 0, 1, 1])
    assert measure(sample, THRESHOLD) == measure(sample, THRESHOLD)


def test_a_model_does_not_differ_from_itself():
    sample = answers([0.1, 0.2, 0.6, 0.7], [0, 1, 0, 1])
    one, other, difference = compare_predictions(sample, sample, [AP])[AP]
    assert one == other
    assert (difference.value, difference.low, difference.high) == (0, 0, 0)


def test_the_difference_of_two_models_is_judged_by_pairs():
    rng = np.random.default_rng(0)
    delayed = rng.random(2_000) < 0.3
    right = answers(0.2 + 0.5 * delayed, delayed)
    blind = answers(np.full(2_000, 0.3), delayed)
    one, other, difference = compare_predictions(right, blind, [AP])[AP]
    assert one == 1
    assert other == pytest.approx(delayed.mean())
    assert difference.low > 0.6
