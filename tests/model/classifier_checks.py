"""The contract of a classifier, as checks that every `Classifier` must pass.

    @pytest.mark.parametrize("check", [
        pytest.param(check, id=name) for name, check in classifier_checks(MyClassifier)
    ])
    def test_my_classifier_keeps_the_contract(check):
        check()

A check is named after the rule that it is about, and fails with an AssertionError.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from challenge.classifier import Classifier
from challenge.errors import FeatureNamesError, NotFittedError, TrainingDataError
from challenge.flights.fields import NOT_GIVEN

Make = Callable[[], Classifier]

# A yes/no column, a column of categories, and an ordered one.
NAMES = ["flag", "category", "hour"]
ORDERED = [2]


def classifier_checks(make: Make) -> Iterator[tuple[str, Callable[[], None]]]:
    """The name of each rule, and a function that checks it.

    Args:
        make: gives a new classifier that is not fitted, such as its class.
    """
    for check in CHECKS:
        yield check.__name__.removeprefix("check_"), partial(check, make)


def check_unfitted_classifiers_refuse_to_answer(make: Make) -> None:
    classifier = make()
    features, _ = sample_rows()
    assert not classifier.is_fitted
    for ask in (
        lambda: classifier.predict(features),
        lambda: classifier.predict_proba(features),
        lambda: classifier.predict_proba_outer(features[:, :1], features[:, 1:]),
        lambda: classifier.state(),
    ):
        with pytest.raises(NotFittedError, match="not fitted; call fit first"):
            ask()


def check_fit_needs_rows_of_both_classes(make: Make) -> None:
    features, target = sample_rows()
    for target_, weight, message in (
        (target * 0, None, "all flights were on time"),
        (target * 0 + 1, None, "all flights were delayed"),
        (target, 1 - target, "all flights were on time"),
        (target, target * 0, "no flights to learn from"),
    ):
        with pytest.raises(TrainingDataError, match=message):
            make().fit(features, target_, weight)
    with pytest.raises(TrainingDataError, match="no flights to learn from"):
        make().fit(features[:0], target[:0])


def check_fit_returns_the_classifier_and_leaves_its_arguments_alone(make: Make) -> None:
    features, target = sample_rows()
    weight = np.ones(len(target))
    before = features.copy(), target.copy(), weight.copy()
    classifier = make()
    assert classifier.fit(features, target, weight, ORDERED) is classifier
    assert classifier.is_fitted
    classifier.predict_proba(features)
    for array, copy in zip((features, target, weight), before, strict=True):
        assert_array_equal(array, copy)


def check_parameters_make_an_equal_classifier(make: Make) -> None:
    classifier = fitted(make)
    like = type(classifier)(**classifier.parameters)
    assert like.parameters == classifier.parameters
    features, target = sample_rows()
    assert_same_answers(classifier, like.fit(features, target, ordered=ORDERED))


def check_fits_are_deterministic_and_independent(make: Make) -> None:
    features, target = sample_rows()
    again = make().fit(features[:50] * 0, np.arange(50) % 2)
    again.fit(features, target, ordered=ORDERED)
    assert_same_answers(fitted(make), again)


def check_pickling_changes_no_answer(make: Make) -> None:
    classifier = fitted(make)
    assert_same_answers(classifier, pickle.loads(pickle.dumps(classifier)))


def check_state_is_plain_and_changes_no_answer(make: Make) -> None:
    classifier = fitted(make)
    state = classifier.state()
    assert_plain(state)
    restored = type(classifier).from_state(state, classifier.parameters)
    assert_same_answers(classifier, restored)
    assert restored.state() == state


def check_probabilities_are_of_one_shape_and_between_0_and_1(make: Make) -> None:
    features = every_row()
    probability = fitted(make).predict_proba(features)
    assert probability.shape == (len(features),)
    assert probability.dtype == np.float64
    assert ((probability >= 0) & (probability <= 1)).all()


def check_probabilities_are_calibrated_in_the_large(make: Make) -> None:
    features, target = sample_rows()
    classifier = fitted(make)
    mean = classifier.predict_proba(features).mean()
    assert_allclose(mean, target.mean(), atol=0.005)
    assert_allclose(classifier.base_rate_, target.mean())


def check_predictions_are_1_above_the_base_rate(make: Make) -> None:
    classifier, features = fitted(make), every_row()
    expected = classifier.predict_proba(features) > classifier.base_rate_
    assert set(expected.tolist()) == {True, False}
    assert_array_equal(classifier.predict(features), expected)


def check_answers_do_not_depend_on_the_other_rows(make: Make) -> None:
    classifier, features = fitted(make), every_row()
    probability = classifier.predict_proba(features)
    order = np.random.default_rng(0).permutation(len(features))
    assert_array_equal(classifier.predict_proba(features[order]), probability[order])
    assert_array_equal(classifier.predict_proba(features[:1]), probability[:1])


def check_arrays_and_frames_get_the_same_answers(make: Make) -> None:
    classifier, features = fitted(make), every_row()
    probability = classifier.predict_proba(features)
    for like in (
        features.astype(np.int64),
        np.asfortranarray(features),
        features.tolist(),
        pd.DataFrame(features, columns=NAMES),
    ):
        assert_array_equal(classifier.predict_proba(like), probability)


def check_frames_must_have_the_columns_of_fit(make: Make) -> None:
    features, target = sample_rows()
    frame = pd.DataFrame(features, columns=NAMES)
    classifier = make().fit(frame, target, ordered=ORDERED)
    assert classifier.feature_names_in_ == tuple(NAMES)
    assert_array_equal(
        classifier.predict_proba(frame), classifier.predict_proba(features)
    )
    for other in (
        frame[NAMES[::-1]],
        frame.rename(columns={"hour": "minute"}),
        frame[NAMES[:2]],
        frame.assign(minute=0),
    ):
        with pytest.raises(FeatureNamesError, match="expected 'flag', 'category'"):
            classifier.predict_proba(other)
    # What was fitted to an array knows no names.
    classifier.fit(features, target).predict_proba(frame.set_axis(list("abc"), axis=1))


def check_unseen_categories_count_as_not_given(make: Make) -> None:
    features, target = sample_rows()
    seen = ~np.isin(features, [3, 11]).any(axis=1)
    for rows in (seen, seen & (features != NOT_GIVEN).all(axis=1)):
        classifier = make().fit(features[rows], target[rows], ordered=ORDERED)
        for column, unseen in ((0, 5), (1, 3), (1, 99), (2, 11), (2, 23)):
            unknown, not_given = features[:50].copy(), features[:50].copy()
            unknown[:, column], not_given[:, column] = unseen, NOT_GIVEN
            assert_array_equal(
                classifier.predict_proba(unknown), classifier.predict_proba(not_given)
            )


def check_weights_count_like_repeated_rows(make: Make) -> None:
    features, target = sample_rows()
    weight = np.random.default_rng(1).integers(0, 4, size=len(target))
    weighted = make().fit(features, target, weight, ORDERED)
    repeated = make().fit(
        np.repeat(features, weight, axis=0), np.repeat(target, weight), ordered=ORDERED
    )
    assert_allclose(weighted.base_rate_, repeated.base_rate_)
    assert weighted.categories_ == repeated.categories_
    assert_allclose(
        weighted.predict_proba(every_row()),
        repeated.predict_proba(every_row()),
        atol=1e-5,
    )


def check_outer_answers_are_those_of_the_joined_rows(make: Make) -> None:
    classifier = fitted(make)
    features = np.vstack([every_row(), [[7, 7, 77]]]).astype(np.int16)
    for width in (1, 2):
        left = np.unique(features[:, :width], axis=0)
        right = np.unique(features[:, width:], axis=0)
        outer = classifier.predict_proba_outer(left, right)
        assert outer.shape == (len(left), len(right))
        assert outer.dtype == np.float32
        joined = np.hstack(
            [left.repeat(len(right), axis=0), np.tile(right, (len(left), 1))]
        )
        assert_allclose(outer.reshape(-1), classifier.predict_proba(joined), atol=1e-6)


CHECKS: list[Callable[[Make], None]] = [
    check for name, check in list(globals().items()) if name.startswith("check_")
]


def fitted(make: Make) -> Classifier:
    features, target = sample_rows()
    return make().fit(features, target, ordered=ORDERED)


def sample_rows() -> tuple[np.ndarray, np.ndarray]:
    """Three thousand rows of three columns, some values not given, with their target."""
    rng = np.random.default_rng(0)
    sizes = (2, 6, 12)
    features = np.column_stack([rng.integers(size, size=3_000) for size in sizes])
    log_odds = -2 + features @ [0.8, -0.2, 0.15]
    target = rng.random(3_000) < 1 / (1 + np.exp(-log_odds))
    features[rng.random(features.shape) < 0.1] = NOT_GIVEN
    return features.astype(np.int16), target.astype(np.int8)


def every_row() -> np.ndarray:
    """All rows that there can be, those with values not given included."""
    axes = np.meshgrid(range(-1, 2), range(-1, 6), range(-1, 12), indexing="ij")
    return np.column_stack([axis.reshape(-1) for axis in axes]).astype(np.int16)


def assert_same_answers(one: Classifier, other: Classifier) -> None:
    """To the bit."""
    features = every_row()
    assert_array_equal(one.predict_proba(features), other.predict_proba(features))
    assert one.base_rate_ == other.base_rate_


def assert_plain(value: Any) -> None:
    if type(value) is dict:
        assert all(type(key) is str for key in value)
        value = list(value.values())
    if type(value) is list:
        for item in value:
            assert_plain(item)
    else:
        assert type(value) in (int, float, str, bytes), f"{value!r} is not plain"
