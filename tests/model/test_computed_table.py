"""A model of too many cells for a table computes its answers: the same ones."""

from __future__ import annotations

import math
import pickle

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from challenge.artifact import model_file
from challenge.classifier import LogisticRegressionClassifier, XGBoostClassifier
from challenge.compiled import flight_classifier, leaf_masks
from challenge.compiled.computed_table import ComputedTable
from challenge.compiled.grid import MAX_CELLS
from challenge.errors import ModelFileError, TrainingDataError
from challenge.features.counts import Counts
from challenge.features.feature_sets import FEATURE_SETS
from challenge.files.history import update
from challenge.flights.fields import Flight
from challenge.model import DelayModel
from challenge.training.data.dataset import read_dataset

CLASSIFIERS = {
    "trees": lambda: XGBoostClassifier(rounds=40),
    # Each tree has more leaves than a number has bits.
    "large trees": lambda: XGBoostClassifier(
        rounds=4, max_depth=9, min_child_weight=1, reg_lambda=0
    ),
    "regression": LogisticRegressionClassifier,
}


@pytest.fixture(scope="module")
def dataset(sample_csv):
    return read_dataset(sample_csv)


@pytest.fixture(scope="module", params=CLASSIFIERS)
def classifier(request):
    return CLASSIFIERS[request.param]


@pytest.fixture(scope="module", params=FEATURE_SETS)
def model(request, classifier, dataset):
    """Of flights until August and of half of the airlines: others are not known, and
    the months after it are averaged over or taken as not given."""
    seen = (dataset.codes[:, 2] < 8) & (dataset.codes[:, 0] % 2 == 0)
    model = DelayModel(classifier(), request.param, dataset.vocabulary)
    return model.fit_counts(dataset.counts(np.flatnonzero(seen)))


@pytest.fixture
def too_large(monkeypatch):
    """Every grid is too large for a table."""
    monkeypatch.setattr(flight_classifier, "MAX_CELLS", 0)


def test_it_answers_as_the_classifier(model, too_large):
    cells = np.random.default_rng(0).integers(model.grid.cells, size=3_000)
    table = model.compile().table
    assert isinstance(table, ComputedTable)
    expected = model.predict_codes(model.grid.codes(cells))
    np.testing.assert_allclose(table.lookup(cells.tolist()), expected, atol=1e-6)
    assert len(np.unique(expected)) > 5


def test_it_answers_as_the_table(model, monkeypatch):
    cells = np.random.default_rng(1).integers(model.grid.cells, size=3_000).tolist()
    table = model.compile().table.lookup(cells)
    monkeypatch.setattr(flight_classifier, "MAX_CELLS", 0)
    assert model.compile().table.lookup(cells) == pytest.approx(table, abs=1e-6)


def test_it_explains_as_the_table(model, monkeypatch):
    cells = np.random.default_rng(2).integers(model.grid.cells, size=5).tolist()
    model._training_flights.explainer = None
    expected = model.compile().explain(cells)
    monkeypatch.setattr(flight_classifier, "MAX_CELLS", 0)
    model._training_flights.explainer = None
    for why, other in zip(model.compile().explain(cells), expected, strict=True):
        assert why.contributions == pytest.approx(other.contributions, abs=1e-5)
        assert why.base_log_odds == pytest.approx(other.base_log_odds, abs=1e-5)
        assert why.by_month == pytest.approx(other.by_month, abs=1e-6)
        total = why.base_log_odds + math.fsum(why.contributions.values())
        assert 1 / (1 + math.exp(-total)) == pytest.approx(why.probability, abs=1e-6)


def test_it_can_be_pickled(model, too_large):
    cells = range(0, model.grid.cells, model.grid.cells // 10)
    model._training_flights.explainer = None
    explained = model.compile().explain(cells)
    again = pickle.loads(pickle.dumps(model))
    assert again.predict_cells(cells) == model.predict_cells(cells)
    assert again.explain(cells) == explained


rows = st.lists(
    st.tuples(
        st.integers(0, 4),
        st.integers(0, 1),
        st.integers(0, 11),
        st.integers(-1, 61),
        st.just((-1, -1)) | st.tuples(st.integers(0, 23), st.integers(0, 6)),
        st.integers(0, 20),
        st.integers(0, 20),
    ),
    min_size=2,
    max_size=40,
)


@settings(deadline=None, max_examples=40)
@given(
    rows=rows,
    features=st.sampled_from(list(FEATURE_SETS)),
    make=st.sampled_from([LogisticRegressionClassifier, XGBoostClassifier]),
    seed=st.integers(0, 99),
)
def test_whatever_was_learned_it_answers_as_the_classifier(rows, features, make, seed):
    codes = np.array([(*row[:4], *row[4], -1) for row in rows], np.int16)
    late = np.array([row[5] for row in rows])
    flights = late + np.array([row[6] for row in rows])
    # Both classes are there.
    flights[:2] += [1, 2]
    late[1] += 1
    parameters = {"rounds": 10, "min_child_weight": 0.1}
    classifier = make(**parameters if make is XGBoostClassifier else {})
    model = DelayModel(classifier, features).fit_counts(Counts(codes, flights, late))
    cells = np.random.default_rng(seed).integers(model.grid.cells, size=200)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(flight_classifier, "MAX_CELLS", 0)
        found = model.compile().table.lookup(cells.tolist())
    expected = model.predict_codes(model.grid.codes(cells))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_grid_that_is_small_enough_has_a_table(schedule_model):
    model = DelayModel.load(schedule_model)
    assert model.grid.cells < MAX_CELLS
    assert len(model.table.to_bytes()) == 4 * model.grid.cells


def test_trees_that_take_too_much_memory_are_refused_before_a_file_is_written(
    large_grid_model, tmp_path, monkeypatch
):
    model = DelayModel.load(large_grid_model)
    monkeypatch.setattr(leaf_masks, "MAX_BYTES", 10_000)
    path = tmp_path / "model.pkl"
    with pytest.raises(TrainingDataError, match="too many leaves for 3.. codes: fewer"):
        model.save(path)
    assert not path.exists()
    with pytest.raises(ModelFileError, match="too many leaves for 3.. codes"):
        DelayModel.load(large_grid_model)
    monkeypatch.undo()
    monkeypatch.setattr(leaf_masks, "MAX_LEAVES", 20)
    with pytest.raises(ModelFileError, match="a tree has .. leaves, more than 20"):
        DelayModel.load(large_grid_model)


TREES = {"booster": b"", "categories": [[0]] * 7}
REGRESSION = {
    "base_rate": 0.2,
    "categories": [[0]] * 7,
    "effects": [[0.5]] * 7,
    "intercept": 0.1,
}


@pytest.mark.parametrize(
    ("state", "problem"),
    [
        ({}, "field `categories`"),
        (TREES, "the trees are damaged"),
        (TREES | {"booster": 5}, r"Expected `bytes`.* `\$.booster`"),
        (TREES | {"categories": [[0]] * 6}, "has 6 columns, its features 7"),
        (TREES | {"categories": [[40]] * 7}, "has other codes than 40"),
        (TREES | {"categories": [[-2]] * 7}, "has other codes than 40"),
        (REGRESSION | {"effects": [[0.5]] * 6}, "are not those of its codes"),
        (REGRESSION | {"effects": [[]] * 7}, "are not those of its codes"),
        (REGRESSION | {"effects": [[math.nan]] * 7}, "an effect is not finite"),
        (REGRESSION | {"intercept": math.inf}, "an effect is not finite"),
        (REGRESSION | {"base_rate": None}, r"Expected `float`.* `\$.base_rate`"),
    ],
)
def test_a_damaged_classifier_is_refused(state, problem, large_grid_model, tmp_path):
    stored, _ = model_file.read(large_grid_model)
    if "effects" in state:
        card = msgspec.structs.replace(stored.card, classifier="logistic-regression")
        stored = msgspec.structs.replace(stored, card=card)
    path = tmp_path / "damaged.pkl"
    model_file.write(path, msgspec.structs.replace(stored, classifier=state))
    with pytest.raises(ModelFileError, match=f"is not a whole model: .*{problem}"):
        DelayModel.load(path)


def test_a_model_that_knows_no_flight_is_refused(large_grid_model, tmp_path):
    stored, _ = model_file.read(large_grid_model)
    stored.vocabulary.names["OPERA"] = ()
    path = tmp_path / "empty.pkl"
    model_file.write(path, stored)
    with pytest.raises(ModelFileError, match="its vocabulary has no airlines, or no"):
        DelayModel.load(path)


def test_large_effects_are_certainties_and_no_overflow(large_grid_model, tmp_path):
    stored, _ = model_file.read(large_grid_model)
    card = msgspec.structs.replace(stored.card, classifier="logistic-regression")
    for effect, expected in ((1e300, 1.0), (-1e300, 0.0)):
        state = REGRESSION | {"intercept": effect}
        path = tmp_path / "certain.pkl"
        changed = msgspec.structs.replace(stored, card=card, classifier=state)
        model_file.write(path, changed)
        assert DelayModel.load(path).predict_cells([0]) == [expected]


def test_a_model_of_40_airlines_100_destinations_and_2_origins(
    large_grid_model, flights_of_a_large_grid
):
    model = DelayModel.load(large_grid_model).verify()
    assert model.grid.cells == 40 * 2 * 12 * 3 * 101 * 169 > MAX_CELLS
    stored, _ = model_file.read(large_grid_model)
    assert stored.table is None and len(model.card.known) == 10
    cells = np.random.default_rng(0).integers(model.grid.cells, size=5_000)
    np.testing.assert_allclose(
        model.predict_cells(cells.tolist()),
        model.predict_codes(model.grid.codes(cells)),
        atol=1e-6,
    )
    answers = model.forecast(flights_of_a_large_grid)
    is_late = flights_of_a_large_grid["OPERA"] < "Airline 10"
    assert answers["probability"][is_late].mean() > 0.4
    assert answers["probability"][~is_late].mean() < 0.3
    (why,) = model.explain([model.grid.cell(Flight(3, 1, 6, 20, 8, 0, 1))])
    total = why.base_log_odds + math.fsum(why.contributions.values())
    assert 1 / (1 + math.exp(-total)) == pytest.approx(why.probability, abs=1e-6)


def test_it_is_updated_like_any_other(
    large_grid_model, flights_of_a_large_grid, tmp_path
):
    weeks, updated = tmp_path / "weeks.csv", tmp_path / "updated.pkl"
    data = flights_of_a_large_grid
    data[data["Fecha-I"] >= "2017-12-01"].to_csv(weeks, index=False)
    update(large_grid_model, weeks, updated)
    model = DelayModel.load(updated).verify()
    before = DelayModel.load(large_grid_model)
    last = model.grid.cells - 1
    assert model.predict_cells([last]) == before.predict_cells([last])
    assert model.day.history != before.day.history
    assert model.card.live.until.startswith("2017-12-31T")
