"""The card's quality by distance: what `evaluate --live` finds, at little cost."""

from __future__ import annotations

import msgspec
import numpy as np
import pandas as pd
import pytest

from challenge.artifact.card import DistanceQuality, LiveCard
from challenge.cli.summaries.model_card import print_card
from challenge.live.adjustment import DISTANCES_MINUTES, HOUR, said
from challenge.live.terms import Group
from challenge.model import DelayModel
from challenge.training.data.dataset import read_dataset
from challenge.training.data.past import read_past
from challenge.training.evaluate.live import evaluate_live
from challenge.training.live.adjustment import fit_adjustment
from challenge.training.live.features import Replay
from challenge.training.live.forward import MIN_FLIGHTS, PERIODS, Forward, Settings
from challenge.training.live.tables import counts_of, told_later, walk_forward
from challenge.training.recipe import Recipe
from challenge.training.train import train

SMALL = Recipe(parameters={"rounds": 10})
DAYS, FLIGHTS_A_DAY = 90, 60
FLIGHTS = DAYS * FLIGHTS_A_DAY


@pytest.fixture(scope="module")
def flights():
    """Sixty flights a day, in blocks of six hours on which most or hardly any are late."""
    chance = np.random.default_rng(1)
    is_bad = np.repeat(chance.random(FLIGHTS // 20) < 0.3, 20)
    late = chance.random(FLIGHTS) < np.where(is_bad, 0.7, 0.1)
    day, of_day = np.divmod(np.arange(FLIGHTS), FLIGHTS_A_DAY)
    scheduled = pd.Timestamp("2017-03-01 06:00") + pd.to_timedelta(day, "D")
    scheduled += pd.to_timedelta(15 * of_day, "min")
    return pd.DataFrame(
        {
            "OPERA": np.where(np.arange(FLIGHTS) % 2, "Sky Airline", "Grupo LATAM"),
            "TIPOVUELO": "N",
            "SIGLADES": "Arica",
            "Fecha-I": scheduled,
            "Fecha-O": scheduled + pd.to_timedelta(np.where(late, 30, 0), "min"),
        }
    )


def written(flights, folder):
    flights.to_csv(folder / "flights.csv", index=False)
    return folder / "flights.csv"


@pytest.fixture(scope="module")
def source(flights, tmp_path_factory):
    return written(flights, tmp_path_factory.mktemp("bad hours"))


@pytest.fixture(scope="module")
def trained(source, tmp_path_factory):
    path = tmp_path_factory.mktemp("trained") / "model.pkl"
    train(source, path, SMALL)
    return DelayModel.load(path)


def replayed(source):
    past = read_past(source, read_dataset(source))
    model = SMALL.fit(read_dataset(source).counts(), past.vocabulary)
    expected = walk_forward(SMALL, past, len(past), model)
    return Replay(past, expected, model.grid)


def learned(replay, later):
    """An adjustment whose quality is measured on so many of the latest flights."""
    past = replay.past
    model = SMALL.fit(counts_of(past, len(past) - later), past.vocabulary)
    schedule = told_later(model, past, past.local[-later - 1])
    return fit_adjustment(replay, len(past), schedule=schedule)


def test_each_distance_says_how_good_the_model_then_is(trained):
    quality = trained.card.live.quality
    assert list(quality) == [str(distance) for distance in DISTANCES_MINUTES]
    near, far = quality["60"], quality[str(7 * 24 * 60)]
    assert near.roc_auc > near.schedule_roc_auc + 0.05
    assert near.average_precision > near.schedule_average_precision + 0.05
    assert (far.roc_auc, far.average_precision) == (
        far.schedule_roc_auc,
        far.schedule_average_precision,
    )
    # Of those whose windows, of four weeks, are whole.
    assert far.flights < near.flights < FLIGHTS / 3


def test_it_is_what_the_evaluation_finds(source, trained):
    evaluated = evaluate_live(SMALL, read_past(source, read_dataset(source)))
    found = {one.ahead: one for one in evaluated.distances}
    for distance, of in trained.card.live.quality.items():
        one = found[said(int(distance))]
        for roc_auc, same in (
            (of.roc_auc, one.with_state.roc_auc),
            (of.schedule_roc_auc, one.without.roc_auc),
        ):
            assert same.low < roc_auc < same.high


def test_how_the_flights_judged_left_decides_nothing(flights, source, tmp_path):
    is_last = flights.index >= 0.92 * FLIGHTS
    left = flights["Fecha-O"].mask(is_last, flights["Fecha-I"])
    other = written(flights.assign(**{"Fecha-O": left}), tmp_path)
    settings, last = Settings(prior=10.0, penalty=10.0), PERIODS - 1
    before, after = (
        Forward(replay, len(replay.past), HOUR, tuple(Group))
        for replay in (replayed(source), replayed(other))
    )
    chosen = before.helping(settings, last)
    assert chosen == after.helping(settings, last) == {Group.SHORT}
    for period in range(PERIODS):
        losses = [one.loss(settings, chosen, period) for one in (before, after)]
        assert (losses[0] == losses[1]) == (period < last)


def test_distances_with_too_few_flights_to_judge_are_left_out(source):
    replay = replayed(source)
    assert learned(replay, later=MIN_FLIGHTS).quality[HOUR].flights == MIN_FLIGHTS
    assert learned(replay, later=MIN_FLIGHTS - 1).quality == {}
    assert fit_adjustment(replay, len(replay.past)).quality == {}


def test_a_model_keeps_it_when_it_keeps_other_flights(trained, tmp_path):
    history = trained.known_day.history
    trained.save_with_history(history, tmp_path / "tonight.pkl")
    updated = DelayModel.load(tmp_path / "tonight.pkl")
    assert updated.card.live.quality == trained.card.live.quality


def test_cards_without_it_are_read():
    card = b'{"helps": {"60": ["the last hours"]}, "flights": 3, "until": null}'
    assert msgspec.json.decode(card, type=LiveCard).quality == {}


def test_it_is_shown_with_the_card(trained, capsys):
    print_card(trained.card, trained.vocabulary, trained.fingerprint)
    of = trained.card.live.quality["60"]
    assert isinstance(of, DistanceQuality)
    shown = capsys.readouterr().out
    line = f"1 h before: {of.roc_auc:.3f}, by its schedule alone"
    assert f"{line} {of.schedule_roc_auc:.3f}" in shown
