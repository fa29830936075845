"""The quality of predictions once the flights have left: the join, weeks, verdict."""

from __future__ import annotations

import gzip
import json
from datetime import date
from pathlib import Path

import duckdb
import msgspec
import numpy as np
import pandas as pd
import pytest

from challenge.artifact.card import ModelCard
from challenge.cli import main
from challenge.errors import MissingColumnsError, TrainingDataError
from challenge.files.answering import predict_file
from challenge.files.prediction_log import LoggedFlight
from challenge.model import DelayModel
from challenge.training.evaluate.departures import join_departures, read_logged
from challenge.training.evaluate.metrics import Predictions, measure
from challenge.training.evaluate.monitor import monitor
from tests.conftest import TEST_MODEL

pytestmark = pytest.mark.slow

KEYS = ["Fecha-I", "OPERA", "TIPOVUELO", "SIGLADES", "Vlo-I"]


def card(metrics: dict[str, object] | None = None) -> ModelCard:
    return ModelCard(
        created="2017-06-01T00:00:00Z",
        features="schedule",
        classifier="xgboost",
        parameters={},
        threshold=0.2,
        threshold_rule="balanced",
        rows=1,
        delay_rate=0.2,
        library_versions={},
        metrics=metrics or {},
    )


@pytest.fixture
def departed() -> pd.DataFrame:
    """Three weeks of flights, one an hour, of which every fourth left late."""
    times = pd.date_range("2017-06-05", periods=21 * 24, freq="h")
    late = np.arange(len(times)) % 4 == 0
    return pd.DataFrame(
        {
            "Fecha-I": times,
            "Fecha-O": times + pd.to_timedelta(np.where(late, 16, 15), "min"),
            "OPERA": "Grupo LATAM",
            "TIPOVUELO": "N",
            "SIGLADES": "Lima",
            "Vlo-I": [str(number % 7) for number in range(len(times))],
        }
    )


@pytest.fixture
def predicted(departed) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    late = np.arange(len(departed)) % 4 == 0
    return departed[KEYS].assign(
        probability=np.where(late, 0.3, 0.2) + rng.uniform(-0.1, 0.1, len(late))
    )


def monitored(tmp_path: Path, predicted, departed, metrics=None):
    predicted.to_csv(tmp_path / "predicted.csv", index=False)
    duckdb.from_df(departed).write_parquet(str(tmp_path / "departed.parquet"))
    return monitor(
        tmp_path / "predicted.csv", tmp_path / "departed.parquet", card(metrics)
    )


def test_the_quality_is_that_of_the_flights_predicted(tmp_path, predicted, departed):
    found = monitored(tmp_path, predicted.sample(frac=1, random_state=0), departed)
    late = (np.arange(len(departed)) % 4 == 0).astype(np.int8)
    expected = measure(Predictions(predicted["probability"].to_numpy(), late), 0.2)
    assert found.quality == expected
    assert (found.unanswered, found.unusable) == (0, 0)
    assert list(found.weeks) == [date(2017, 6, day) for day in (5, 12, 19)]
    assert [week.flights for week in found.weeks.values()] == [7 * 24] * 3


def test_of_several_predictions_the_last_counts(tmp_path, predicted, departed):
    before = predicted.assign(probability=0.99)
    found = monitored(tmp_path, pd.concat([before, predicted]), departed)
    assert found.quality.flights == len(departed)
    assert found.quality.mean_probability == pytest.approx(
        predicted["probability"].mean()
    )


def test_what_cannot_be_joined_is_counted(tmp_path, predicted, departed):
    predicted.loc[0, "probability"] = None
    predicted.loc[1, "probability"] = 1.5
    departed.loc[2, "Fecha-O"] = None
    departed.loc[3, "OPERA"] = "Air Canada"
    found = monitored(tmp_path, predicted, departed)
    assert found.unusable == 3
    assert found.unanswered == 3
    assert found.quality.flights == len(departed) - 4


@pytest.mark.parametrize("key", ["TIPOVUELO", "SIGLADES", "Vlo-I"])
def test_a_key_that_one_file_lacks_is_not_compared(key, tmp_path, predicted, departed):
    found = monitored(tmp_path, predicted.drop(columns=key), departed)
    assert found.quality.flights == len(departed)


def test_flights_that_differ_in_number_alone_are_two(tmp_path, predicted, departed):
    twice = departed.assign(**{"Vlo-I": "99"}).assign(
        **{"Fecha-O": departed["Fecha-I"]}
    )
    both = pd.concat([departed, twice])
    answers = pd.concat([predicted, predicted.assign(**{"Vlo-I": "99"})])
    found = monitored(tmp_path, answers, both)
    assert found.quality.flights == 2 * len(departed)
    assert found.quality.delay_rate == pytest.approx(1 / 8)


AIRLINE = ("Grupo LATAM", "N", 6)
NOON = "2017-06-05 12:00:00"


def answered(
    *answers: tuple[float, float | None], scheduled: str = NOON
) -> list[object]:
    """Logged answers about a flight: the probability, and the distance in minutes from
    the clock of the state; None where only the table was asked."""
    return [
        LoggedFlight(
            *(f"2017-06-05T{place // 60:02}:{place % 60:02}:00.000+00:00", "a", "m"),
            *(probability, 0, *AIRLINE),
            scheduled=scheduled,
            distance=distance,
            clock=None if distance is None else "2017-06-05T00:00:00Z",
        )
        for place, (probability, distance) in enumerate(answers)
    ]


def judged_by(tmp_path: Path, logged: list[object], minutes: int = 40):
    """What the flights of a log are judged by that left so much later."""
    folder = tmp_path / "log"
    folder.mkdir()
    content = msgspec.json.Encoder().encode_lines(logged)
    (folder / "2017-06-05T00-0123456789ab.jsonl.gz").write_bytes(gzip.compress(content))
    times = pd.to_datetime(sorted({one.scheduled for one in logged}))
    left = times + pd.to_timedelta(minutes, "min")
    flights = pd.DataFrame({"Fecha-I": times, "Fecha-O": left})
    flights.assign(OPERA="Grupo LATAM").to_csv(tmp_path / "left.csv", index=False)
    return join_departures(read_logged(folder), tmp_path / "left.csv")


@pytest.mark.parametrize(
    ("answers", "minutes", "judged"),
    [
        pytest.param([(0.1, 240), (0.2, 60), (0.3, 15)], 40, 0.3, id="the nearest"),
        pytest.param([(0.1, 60), (0.2, 60)], 40, 0.2, id="of a state, the last"),
        pytest.param(
            [(0.1, 15), (0.2, 240)], 40, 0.1, id="not one about a time before"
        ),
        pytest.param([(0.1, 15), (0.2, -0.02)], 40, 0.1, id="not one behind the clock"),
        pytest.param([(0.1, 15), (0.2, 0)], 40, 0.2, id="but one at its time"),
        pytest.param([(0.1, 30), (0.2, 10)], -10, 0.1, id="not one when it had left"),
        pytest.param([(0.1, 30), (0.2, 10.02)], -10, 0.2, id="a second before it left"),
        pytest.param([(0.1, 15), (0.2, -10), (0.3, None)], 40, 0.1, id="none overdue"),
        pytest.param([(0.1, None), (0.2, 30)], 40, 0.2, id="not a month ahead"),
        pytest.param([(0.1, None), (0.2, -5)], 40, 0.1, id="but if nothing else is"),
        pytest.param([(0.1, None), (0.2, None)], 40, 0.2, id="of the table, the last"),
    ],
)
def test_a_flight_is_judged_by_the_last_answer_before_it_left(
    answers, minutes, judged, tmp_path
):
    joined = judged_by(tmp_path, answered(*answers), minutes)
    assert joined.probability.tolist() == [judged]
    assert (joined.predictions, joined.too_late) == (len(answers), 0)


def test_flights_that_were_asked_about_too_late_are_not_judged(tmp_path, capsys):
    """Neither where the table answered about those that were overdue by more."""
    late = answered((0.9, -1), (0.8, None), scheduled="2017-06-05 13:00:00")
    joined = judged_by(tmp_path, [*answered((0.1, 15)), *late])
    assert joined.probability.tolist() == [0.1]
    assert (joined.departures, joined.too_late) == (2, 1)
    found = monitor(tmp_path / "log", tmp_path / "left.csv", card())
    assert (found.quality.flights, found.unanswered, found.too_late) == (1, 1, 1)
    files = [str(tmp_path / "log"), str(tmp_path / "left.csv")]
    main(["monitor", *files, "--model", str(TEST_MODEL)])
    told = " ".join(capsys.readouterr().out.split())
    assert "2 flights, 1 of them not predicted too late 1 of these" in told
    (tmp_path / "other").mkdir()
    with pytest.raises(TrainingDataError, match="was predicted before it left"):
        judged_by(tmp_path / "other", late)


def test_a_distance_in_another_file_is_what_the_flight_covers(
    tmp_path, predicted, departed
):
    found = monitored(tmp_path, predicted.assign(distance=-1), departed)
    assert found.quality.flights == len(departed) and found.too_late == 0


def promise(auc: tuple[float, float], ece: tuple[float, float]) -> dict[str, object]:
    def estimate(low: float, high: float) -> dict[str, float]:
        return {"value": (low + high) / 2, "low": low, "high": high}

    return {"forward": {"roc_auc": estimate(*auc), "ece": estimate(*ece)}}


@pytest.mark.parametrize(
    ("promised", "worse"),
    [
        (promise((0.6, 0.99), (0, 0.2)), []),
        (promise((0.995, 0.999), (0, 0.2)), ["roc_auc"]),
        (promise((0.6, 0.99), (0, 0.001)), ["ece"]),
        ({}, []),
    ],
)
def test_worse_is_what_chance_does_not_explain(
    promised, worse, tmp_path, predicted, departed
):
    found = monitored(tmp_path, predicted, departed, promised)
    assert [p.measure for p in found.promises if p.is_worse] == worse
    assert found.is_worse == bool(worse)


def test_files_without_a_flight_in_common_are_an_error(tmp_path, predicted, departed):
    predicted["Fecha-I"] += pd.Timedelta(days=365)
    with pytest.raises(TrainingDataError, match="no flight that was predicted"):
        monitored(tmp_path, predicted, departed)


@pytest.mark.parametrize("column", ["probability", "Fecha-I", "OPERA"])
def test_a_missing_column_is_named(column, tmp_path, predicted, departed):
    with pytest.raises(MissingColumnsError, match=column):
        monitored(tmp_path, predicted.drop(columns=column), departed)


def test_the_command_judges_what_the_command_predicted(sample_csv, tmp_path, capsys):
    answers = tmp_path / "answers.csv"
    predict_file(DelayModel.load(TEST_MODEL), sample_csv, answers)
    arguments = ["monitor", str(answers), str(sample_csv), "--model", str(TEST_MODEL)]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert "ROC AUC: 0.6" in printed and "as promised" in printed
    assert main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["quality"]["flights"] == found["departures"] > 60_000
    # The same flights, as if they had left the other way round.
    flights = pd.read_csv(sample_csv, low_memory=False)
    late = pd.to_datetime(flights["Fecha-O"]) - pd.to_datetime(flights["Fecha-I"])
    turned = pd.to_datetime(flights["Fecha-I"]) + pd.to_timedelta(60, "min") - late
    flights.assign(**{"Fecha-O": turned}).to_csv(tmp_path / "turned.csv", index=False)
    assert main([*arguments[:2], str(tmp_path / "turned.csv"), *arguments[3:]]) == 3
    assert "WORSE THAN PROMISED" in capsys.readouterr().out


def test_departures_may_be_of_another_format_than_the_predictions(tmp_path):
    """Both are joined by what they mean, the delay is that of the departures' file."""
    predictions = tmp_path / "predictions.csv"
    predictions.write_text(
        "OPERA,Fecha-I,probability\n"
        "AA,2013-01-07 08:00,0.4\nAA,2013-01-07 09:00,0.2\nAA,2013-01-08 09:00,0.1\n"
    )
    flights = tmp_path / "flights.csv"
    flights.write_text(
        "year,month,day,sched_dep_time,dep_delay,carrier,origin,dest\n"
        "2013,1,7,800,16,AA,JFK,LAX\n2013,1,7,900,15,AA,JFK,LAX\n"
        "2013,1,8,900,NA,AA,JFK,LAX\n"
    )
    joined = join_departures(predictions, flights)
    assert joined.probability.tolist() == [0.4, 0.2]
    assert joined.delayed.tolist() == [1, 0]
    assert joined.unusable == 1
