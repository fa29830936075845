"""A record predicted again by another model, and compared with departures."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime

import msgspec
import numpy as np
import pandas as pd
import pytest

from challenge.cli import main
from challenge.errors import TrainingDataError
from challenge.files.history import on_day
from challenge.files.prediction_log import LoggedFlight, read_prediction_log
from challenge.flights.fields import (
    AIRCRAFT,
    AIRLINE,
    ARRIVED,
    DESTINATION,
    DUE,
    FIELDS,
    FLIGHT_TYPE,
    MONTH,
    ORIGIN,
    SCHEDULED,
)
from challenge.model import DelayModel
from challenge.serving.body.structs import AskedFlight
from challenge.serving.observability.prediction_log_writer import PredictionLogWriter
from challenge.training.data.dataset import read_dataset
from challenge.training.data.past import read_past
from challenge.training.evaluate.departures import join_departures, read_logged
from challenge.training.evaluate.monitor import monitor
from challenge.training.evaluate.replay import replay
from challenge.training.recipe import Recipe
from challenge.training.train import train
from tests.conftest import AIRTRAN, trained

pytestmark = pytest.mark.slow

ASKED = [AIRLINE, FLIGHT_TYPE, MONTH, DESTINATION, SCHEDULED]


def of_state(question):
    """What a record tells of the state that was asked."""
    if question is None:
        return {}
    clock = datetime.fromtimestamp(question.at, UTC)
    distance = (question.scheduled - question.at) / 60
    return {"clock": f"{clock:%Y-%m-%dT%H:%M:%SZ}", "distance": distance}


def write_record(folder, model, flights, **changed):
    """The record that a server keeps that was asked about flights with a model."""
    asked = flights[ASKED].to_dict("records")
    cells = list(map(model.encoder.cell, asked))
    questions = model.questions(asked)
    probabilities = model.predict_flights(cells, questions)
    numbers = changed.get("numbers", [None] * len(asked))
    lines = [
        LoggedFlight(
            f"2017-12-{1 + place % 28:02}T00:00:00.000+00:00",
            f"a-{place:x}",
            model.name,
            round(probability, 6),
            int(probability > model.threshold),
            *(flight["OPERA"], flight["TIPOVUELO"], flight["MES"]),
            destination=flight["SIGLADES"],
            scheduled=flight["Fecha-I"],
            flight_number=number,
            **of_state(questions.get(place)),
        )
        for place, (flight, probability, number) in enumerate(
            zip(asked, probabilities, numbers, strict=True)
        )
    ]
    folder.mkdir(exist_ok=True)
    content = msgspec.json.Encoder().encode_lines(lines)
    path = folder / "2017-12-01T00-0123456789ab.jsonl.gz"
    path.write_bytes(gzip.compress(content))
    return folder


@pytest.fixture(scope="module")
def flights(sample_flights):
    """Of the year, and of the two weeks after those that the models keep."""
    found = sample_flights.iloc[::10].reset_index(drop=True)
    later = found["Fecha-I"] >= "2017-12-16"
    for name in ("Fecha-I", "Fecha-O"):
        times = pd.to_datetime(found.loc[later, name]) + pd.Timedelta(days=17)
        found.loc[later, name] = times.astype(str)
    return found.assign(MES=found["Fecha-I"].str[5:7].astype(int))


@pytest.fixture(scope="module")
def departures(flights, tmp_path_factory):
    path = tmp_path_factory.mktemp("departures") / "departed.csv"
    flights.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def served(schedule_model):
    return DelayModel.load(schedule_model)


@pytest.fixture(scope="module")
def record(served, flights, tmp_path_factory):
    return write_record(tmp_path_factory.mktemp("served") / "log", served, flights)


@pytest.fixture(scope="module")
def worse_model(flights, tmp_path_factory):
    """Trained on the same flights with the delays of others, and without an airline."""
    folder = tmp_path_factory.mktemp("worse")
    scheduled = pd.to_datetime(flights["Fecha-I"])
    delays = pd.to_datetime(flights["Fecha-O"]) - scheduled
    shuffled = np.random.default_rng(0).permutation(delays.to_numpy())
    departed = (scheduled + shuffled).astype("str")
    known = flights["OPERA"] != "Copa Air"
    flights.assign(**{"Fecha-O": departed})[known].to_csv(
        folder / "flights.csv", index=False
    )
    train(
        folder / "flights.csv",
        folder / "model.pkl",
        Recipe("logistic-regression", "schedule"),
        skip_invalid=True,
    )
    return folder / "model.pkl"


def test_the_model_that_answered_would_answer_the_same(record, served, departures):
    found = replay(record, served, departures)
    assert found.all.flips == 0 and found.all.answers == 6_821
    assert found.mean_change < 1e-6
    assert found.models == {served.name: 6_821}
    assert found.departed == 6_821
    for compared in found.quality.values():
        assert compared.one == pytest.approx(compared.other, abs=1e-3)
    assert not found.is_worse and not found.unanswered


def test_flips_are_counted_where_they_are(record, served, updated_model, flights):
    """The updated model knows that Sky Airline was late in December."""
    updated = DelayModel.load(updated_model)
    asked = flights[ASKED].to_dict("records")
    before, after = (
        np.array(
            model.predict_flights(
                list(map(model.encoder.cell, asked)), model.questions(asked)
            )
        )
        for model in (served, updated)
    )
    late = (model.threshold < p for model, p in ((served, before), (updated, after)))
    was, is_now = late
    found = replay(record, updated)
    assert (found.all.to_late, found.all.to_on_time) == (
        (is_now & ~was).sum(),
        (was & ~is_now).sum(),
    )
    is_sky = (flights["OPERA"] == "Sky Airline").to_numpy()
    of_sky = found.groups["OPERA"]["Sky Airline"]
    assert next(iter(found.groups["OPERA"])) == "Sky Airline"
    assert of_sky.answers == is_sky.sum()
    assert of_sky.flips == (was != is_now)[is_sky].sum() > 10
    assert of_sky.candidate == pytest.approx(after[is_sky].mean(), abs=1e-5)
    assert set(found.groups["MES"]) == set(map(str, range(1, 13)))
    assert sum(moved.flips for moved in found.groups["MES"].values()) == found.all.flips
    low, _, high = np.quantile(after - before, [0.05, 0.5, 0.95])
    assert (found.change[0], found.change[2]) == pytest.approx((low, high), abs=1e-5)
    assert found.departed == 0 and found.quality == {}


def test_a_candidate_is_judged_by_what_happened(
    record, worse_model, departures, flights
):
    found = replay(record, DelayModel.load(worse_model), departures)
    of_copa = int((flights["OPERA"] == "Copa Air").sum())
    assert found.faults["OPERA", "unknown_value"] == of_copa > 100
    assert found.unanswered == len(flights) - found.all.answers >= of_copa
    changed = found.all.flips + found.unanswered
    assert found.flip_share == changed / len(flights)
    assert found.departed == found.all.answers <= len(flights) - of_copa
    assert found.is_worse
    assert found.quality["roc_auc"].difference.high < -0.1
    assert found.quality["brier"].difference.low > 0


def test_only_the_last_prediction_about_a_flight_counts(
    served, flights, departures, tmp_path
):
    twice = pd.concat([flights, flights], ignore_index=True)
    folder = write_record(tmp_path / "log", served, twice)
    found = replay(folder, served, departures)
    assert found.all.answers == 2 * len(flights)
    assert found.departed == len(flights)


def test_groups_are_right_where_some_flights_tell_nothing(
    served, updated_model, flights, tmp_path
):
    """Of every second flight the destination is not known."""
    some = flights.assign(SIGLADES=flights["SIGLADES"].mask(flights.index % 2 == 0))
    some = some.astype({"SIGLADES": object}).where(some.notna(), None)
    folder = write_record(tmp_path / "log", served, some)
    updated = DelayModel.load(updated_model)
    found = replay(folder, updated)
    asked = some[ASKED].to_dict("records")
    is_lima = np.array([flight["SIGLADES"] == "Lima" for flight in asked])
    cells = list(map(updated.encoder.cell, asked))
    after = np.array(updated.predict_flights(cells, updated.questions(asked)))
    of_lima = found.groups["SIGLADES"]["Lima"]
    assert of_lima.answers == is_lima.sum() > 100
    assert of_lima.candidate == pytest.approx(after[is_lima].mean(), abs=1e-5)
    counted = sum(moved.answers for moved in found.groups["SIGLADES"].values())
    assert counted == len(flights) // 2


def test_a_model_is_no_worse_than_itself(record, served, departures, tmp_path, flights):
    """Whichever flights are looked at: the record is rounded, and so must it be."""
    for month in range(1, 13):
        some = flights[flights["MES"] == month].reset_index(drop=True)
        folder = write_record(tmp_path / f"log-{month}", served, some)
        found = replay(folder, served, departures)
        assert not found.is_worse
        assert found.quality["brier"].difference.value == 0


def test_the_prediction_that_tells_most_is_meant(served, flights, tmp_path):
    """A later one with less, about any flight of that minute, does not replace it."""
    exact = flights.iloc[:1]
    vague = exact.assign(SIGLADES=None, OPERA=exact["OPERA"])
    both = pd.concat([exact, vague, vague], ignore_index=True)
    both = both.astype({"SIGLADES": object}).where(both.notna(), None)
    folder = write_record(tmp_path / "log", served, both)
    two = pd.concat([exact, exact.assign(SIGLADES="Lima")])
    two.to_csv(tmp_path / "departed.csv", index=False)
    joined = join_departures(read_logged(folder), tmp_path / "departed.csv")
    # Of the flight itself the exact one, of the other the last that may mean it.
    assert joined.row.tolist() == [0, 2]


def test_flights_without_a_number_are_found_among_departures_that_have_one(
    served, flights, departures, tmp_path
):
    """Of some flights the number was asked about, of others not."""
    numbered = flights.assign(**{"Vlo-I": [f"H2 {n}" for n in range(len(flights))]})
    numbered.to_csv(tmp_path / "departed.csv", index=False)
    numbers = [
        None if place % 2 else number for place, number in enumerate(numbered["Vlo-I"])
    ]
    folder = write_record(tmp_path / "log", served, flights, numbers=numbers)
    joined = replay(folder, served, tmp_path / "departed.csv").departed
    assert joined >= 0.99 * len(flights)


def test_a_record_is_monitored_as_a_file_of_predictions_is(
    record, served, departures, flights, capsys, schedule_model
):
    found = monitor(record, departures, served.card)
    assert found.predictions == found.quality.flights == len(flights)
    assert found.quality.roc_auc.value > 0.65
    (path,) = record.iterdir()
    arguments = ["monitor", str(path), str(departures), "--model", str(schedule_model)]
    assert main(arguments) == 0
    assert "as promised" in capsys.readouterr().out


def test_a_record_with_no_flight_that_left_is_an_error(
    record, served, tmp_path, flights
):
    later = pd.to_datetime(flights["Fecha-I"]) + pd.Timedelta(days=3650)
    flights.assign(**{"Fecha-I": later}).to_csv(tmp_path / "later.csv", index=False)
    with pytest.raises(TrainingDataError, match="no flight that was predicted"):
        replay(record, served, tmp_path / "later.csv")
    with pytest.raises(TrainingDataError, match="no flight that was predicted"):
        monitor(record, tmp_path / "later.csv", served.card)


def test_what_is_no_record_is_refused(served, tmp_path):
    with pytest.raises(TrainingDataError, match="has no .jsonl.gz file"):
        replay(tmp_path, served)
    (tmp_path / "empty.jsonl.gz").write_bytes(gzip.compress(b""))
    with pytest.raises(TrainingDataError, match="holds no answer"):
        replay(tmp_path, served)


def test_flights_that_the_candidate_knows_nothing_of_are_an_error(
    served, flights, worse_model, tmp_path
):
    copa = flights[flights["OPERA"] == "Copa Air"].reset_index(drop=True)
    folder = write_record(tmp_path / "log", served, copa)
    with pytest.raises(TrainingDataError, match="OPERA unknown_value: [0-9]+"):
        replay(folder, DelayModel.load(worse_model))


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ([], 0),
        (["--max-flips", "0.9"], 0),
        (["--max-flips", "0.01"], 3),
        (["--departures", "DEPARTURES"], 0),
        (["--departures", "DEPARTURES", "--no-worse"], 3),
        (["--no-worse"], 2),
    ],
)
def test_the_command_is_a_gate(options, code, record, worse_model, departures, capsys):
    given = [str(departures) if one == "DEPARTURES" else one for one in options]
    assert main(["replay", str(record), str(worse_model), *given]) == code
    if code != 2:
        told = capsys.readouterr().out
        assert "to late, " in told and "OPERA unknown_value: " in told
        assert ("The candidate is WORSE." in told) == ("--departures" in options)


def test_the_command_prints_json(record, schedule_model, departures, capsys):
    arguments = ["--departures", str(departures), "--no-worse", "--json"]
    assert main(["replay", str(record), str(schedule_model), *arguments]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["flips"] == 0 and told["answers"] == told["departed"]
    assert told["quality"]["brier"]["difference"]["value"] == pytest.approx(0, abs=1e-6)


# The state of the day, as it was when a flight was asked about.

MOMENTS = ("2017-12-14 00:00", "2017-12-15 06:30", "2017-12-16 12:00")


def record_at(folder, model, asked_at):
    """The record of a server whose state was, one after the other, at these moments.

    Args:
        folder: of the record.
        model: on its day.
        asked_at: pairs of a moment and the flights that were asked about.
    """
    writer = PredictionLogWriter(folder, 0)
    writer.start()
    for at, flights in asked_at:
        then = model.with_day(model.day.asked(at))
        cells = [model.encoder.cell(flight) for flight in flights]
        questions = then.questions(flights)
        in_table = then.predict_cells(cells)
        answers = then.predict_flights(cells, questions)
        for place, (flight, probability) in enumerate(
            zip(flights, answers, strict=True)
        ):
            writer.add(
                b"a-1",
                model.name,
                AskedFlight(*(flight.get(field.name) for field in FIELDS)),
                probability,
                int(probability > model.threshold),
                questions.get(place),
                in_table[place],
            )
    writer.close()
    return folder


@pytest.fixture(scope="module")
def on_last_weeks(served, last_weeks):
    """In which every flight of Sky Airline left an hour late."""
    return on_day(served, last_weeks, None, None)


@pytest.fixture(scope="module")
def asked_of_sky(sample_flights):
    """Flights of three days, some of which have left at each of the moments."""
    times = sample_flights["Fecha-I"]
    of_days = (times >= "2017-12-14") & (times < "2017-12-17")
    is_sky = sample_flights["OPERA"] == "Sky Airline"
    rows = sample_flights[of_days & is_sky]
    return rows.assign(MES=12)[ASKED].to_dict("records")


@pytest.fixture(scope="module")
def record_of_days(on_last_weeks, asked_of_sky, tmp_path_factory):
    folder = tmp_path_factory.mktemp("days") / "log"
    record_at(folder, on_last_weeks, [(at, asked_of_sky) for at in MOMENTS])
    return folder


def test_each_answer_is_made_again_at_the_moment_of_its_own_state(
    record_of_days, on_last_weeks, asked_of_sky
):
    found = replay(record_of_days, on_last_weeks)
    assert found.all.answers == len(MOMENTS) * len(asked_of_sky)
    assert found.all.flips == found.mean_change == found.too_early == 0
    logged = [one for some in read_prediction_log(record_of_days) for one in some]
    clocks = [one.clock for one in logged if one.clock]
    assert set(clocks) == {
        "2017-12-14T03:00:00Z",
        "2017-12-15T09:30:00Z",
        "2017-12-16T15:00:00Z",
    }
    assert 0.3 * len(logged) < len(clocks) < len(logged)
    moved = [
        abs(one.probability - one.schedule_probability) for one in logged if one.clock
    ]
    assert np.mean(moved) > 0.1
    # At any other moment the answers are others.
    other = replay(record_of_days, on_last_weeks.with_day(None))
    assert other.mean_change > 0.03 and other.all.flips > 0


def test_the_past_flights_are_those_that_are_given_or_the_candidates_own(
    record_of_days, schedule_model, last_weeks, served, updated_model, capsys
):
    command = ["replay", str(record_of_days), str(schedule_model), "--json"]
    assert main([*command, f"--history={last_weeks}", "--max-flips=0"]) == 0
    assert json.loads(capsys.readouterr().out)["mean_change"] == 0
    assert main(command) == 0
    own = json.loads(capsys.readouterr().out)
    assert own["mean_change"] == replay(record_of_days, served).mean_change > 0.03
    # Its own are the same flights but for the first day, of the last 30 days.
    updated = replay(record_of_days, DelayModel.load(updated_model))
    assert updated.all.flips == 0 and updated.mean_change < 0.01


def test_what_only_the_table_was_asked_about_only_the_table_answers(
    on_last_weeks, asked_of_sky, tmp_path
):
    """Of the same flights, also those that the candidate's day would move."""
    record_at(tmp_path / "log", on_last_weeks, [("2018-01-20 00:00", asked_of_sky)])
    logged = read_logged(tmp_path / "log")
    assert logged[["clock", "distance", "schedule_probability"]].isna().to_numpy().all()
    assert on_last_weeks.with_day(on_last_weeks.day.asked(MOMENTS[0])).questions(
        asked_of_sky
    )
    found = replay(tmp_path / "log", on_last_weeks)
    assert found.mean_change == 0 and found.all.answers == len(asked_of_sky)


def test_moments_before_all_past_flights_are_counted(
    record_of_days, last_weeks, asked_of_sky, schedule_model, tmp_path, capsys
):
    rows = pd.read_csv(last_weeks)
    late = rows[rows["Fecha-I"] >= "2017-12-15"]
    late.to_csv(tmp_path / "late.csv", index=False)
    command = ["replay", str(record_of_days), str(schedule_model)]
    assert main([*command, f"--history={tmp_path / 'late.csv'}"]) == 0
    told = capsys.readouterr().out
    assert f"{len(asked_of_sky):,} of a moment before all past flights" in told


def test_a_candidate_that_learned_nothing_of_days_answers_by_its_table(
    record_of_days, enough_flights, last_weeks, tmp_path, capsys
):
    candidate = trained(enough_flights, tmp_path, rounds=5)
    model = DelayModel.load(candidate)
    assert model.day is None
    found = replay(record_of_days, model)
    assert found.all.answers > 0 and found.too_early == 0
    command = ["replay", str(record_of_days), str(candidate)]
    assert main([*command, f"--history={last_weeks}"]) == 1
    assert "has not learned" in capsys.readouterr().err


def test_of_several_states_the_last_before_each_departure_is_judged(
    record_of_days, last_weeks
):
    logged = read_logged(record_of_days)
    joined = join_departures(logged, last_weeks)
    judged = logged.loc[joined.row]
    assert len(set(judged["clock"])) == len(MOMENTS) and joined.too_late == 0
    expected = [
        max(at for at in MOMENTS if at <= one) for one in judged["Fecha-I"].tolist()
    ]
    local = pd.to_datetime(judged["clock"]).dt.tz_convert("America/Santiago")
    assert local.dt.strftime("%Y-%m-%d %H:%M").tolist() == expected


@pytest.fixture(scope="module")
def airtran(airtran_model):
    """A model that knows where aircraft are, and what requests tell of its flights."""
    past = read_past(AIRTRAN, read_dataset(AIRTRAN))
    flights, vocabulary = past.flights, past.vocabulary
    ahead = past.local - flights.scheduled

    def local(moment, place):
        time = None if np.isnat(moment) else pd.Timestamp(moment + ahead[place])
        return None if time is None else str(time)

    asked = []
    for place in range(len(past)):
        scheduled = local(flights.scheduled[place], place)
        airline, kind, month, destination, *_, origin = past.codes[place]
        asked.append(
            {
                AIRLINE: vocabulary[AIRLINE][airline],
                FLIGHT_TYPE: vocabulary[FLIGHT_TYPE][kind],
                MONTH: int(month) + 1,
                ORIGIN: vocabulary[ORIGIN][origin],
                DESTINATION: vocabulary[DESTINATION][destination],
                SCHEDULED: scheduled,
                AIRCRAFT: past.registrations[flights.aircraft[place]],
                DUE: local(flights.due[place], place),
                ARRIVED: local(flights.arrived[place], place),
                "moment": pd.Timestamp(flights.scheduled[place], tz="UTC"),
            }
        )
    return airtran_model, asked


def test_on_a_real_day_nothing_has_changed(airtran, tmp_path, capsys):
    """Asked about at random minutes, over time zones and with aircraft."""
    path, asked = airtran
    model = on_day(DelayModel.load(path), AIRTRAN, None, None)
    random = np.random.default_rng(0)
    day = pd.Timestamp("2008-05-20T06:00:00+00:00")
    moments = sorted(
        day + pd.Timedelta(minutes=m) for m in random.integers(1_440, size=12)
    )
    near = [
        (
            at.isoformat(),
            [one for one in asked if abs(one["moment"] - at) < pd.Timedelta(hours=3)],
        )
        for at in moments
    ]
    record_at(tmp_path / "log", model, near)
    logged = read_logged(tmp_path / "log")
    is_moved = logged["clock"].notna()
    assert 500 < is_moved.sum() < len(logged)
    told = logged.loc[is_moved, ["probability", "schedule_probability"]].astype(float)
    assert (told.diff(axis=1).iloc[:, 1].abs() > 0.05).mean() > 0.3
    command = ["replay", str(tmp_path / "log"), str(path), "--json"]
    assert main([*command, f"--history={AIRTRAN}", "--max-flips=0"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["answers"] == len(logged)
    assert found["mean_change"] == found["flips"] == found["too_early"] == 0
