"""The measures of quality equal scikit-learn's on the flights that are counted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import train_test_split

from challenge.counts import Counts
from challenge.model import DelayModel
from challenge.training.evaluation import (
    average_precision,
    held_out_quality,
    measure,
    roc_auc,
    split,
)

kinds = st.lists(
    st.tuples(
        st.sampled_from([0.1, 0.2, 0.5, 0.9]), st.integers(1, 9), st.integers(1, 9)
    ),
    min_size=1,
)


@given(kinds)
def test_ranking_measures_are_those_of_the_rows(kinds):
    probability, on_time, delayed = (np.array(column) for column in zip(*kinds))
    counts = Counts(np.zeros((len(kinds), 6), np.int16), on_time + delayed, delayed)
    scores = np.concatenate([probability, probability])
    labels = np.repeat([1, 0], len(kinds))
    weights = np.concatenate([delayed, on_time])
    assert roc_auc(probability, counts) == pytest.approx(
        roc_auc_score(labels, scores, sample_weight=weights)
    )
    assert average_precision(probability, counts) == pytest.approx(
        average_precision_score(labels, scores, sample_weight=weights)
    )


@pytest.mark.parametrize("flights", [10, 60, 68_206])
def test_the_split_is_the_one_of_the_notebook(flights):
    expected = train_test_split(np.arange(flights), test_size=0.33, random_state=42)
    for ours, theirs in zip(split(flights), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_model_that_never_warns_has_no_recall_and_no_precision(few_flights):
    model = DelayModel(threshold=0.99)
    features, target = model.preprocess(few_flights, "delay")
    model.fit(features, target)
    codes = np.array([model.reader.read(f) for f in few_flights.to_dict("records")])
    counts = Counts.of_rows(codes, target["delay"].to_numpy(), model.vocabulary)
    quality = measure(model, counts)
    assert (quality.recall, quality.precision, quality.f1) == (0, 0, 0)
    assert quality.flights == 60
    assert quality.delay_rate == pytest.approx(4 / 60)


def test_too_few_flights_are_not_measured(few_flights, tmp_path):
    from challenge.training.dataset import read_dataset

    path = tmp_path / "flights.csv"
    few_flights.head(10).to_csv(path, index=False)
    dataset = read_dataset(path)
    assert held_out_quality(DelayModel(vocabulary=dataset.vocabulary), dataset) is None
