"""The files of the prediction log: readable, whatever happens to their writer."""

from __future__ import annotations

import gzip
import json

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from challenge.errors import FlightsFileError
from challenge.files.prediction_log import (
    LoggedFlight,
    read_prediction_log,
    whole_members,
)

LINE = {
    "time": "2026-11-25T14:03:22.123+00:00",
    "id": "a-1",
    "model": "abcdef123456",
    "OPERA": "Sky Airline",
    "TIPOVUELO": "N",
    "MES": 1,
    "probability": 0.25,
    "delay": 1,
}


def member(*numbers):
    lines = (json.dumps(LINE | {"Vlo-I": str(number)}) for number in numbers)
    return gzip.compress("".join(f"{line}\n" for line in lines).encode())


def numbers_of(source):
    flights = (flight for some in read_prediction_log(source) for flight in some)
    return [int(flight.flight_number) for flight in flights]


def test_a_line_is_a_flight_and_its_answer(tmp_path):
    path = tmp_path / "2026-11-25T14-0123456789ab.jsonl.gz"
    path.write_bytes(gzip.compress(f"{json.dumps(LINE)}\n".encode()))
    ((flight,),) = read_prediction_log(path)
    assert msgspec.to_builtins(flight) == LINE
    assert flight == LoggedFlight(
        *(LINE[name] for name in ("time", "id", "model", "probability", "delay")),
        *(LINE[name] for name in ("OPERA", "TIPOVUELO", "MES")),
    )


def test_a_line_may_tell_of_the_state_that_was_asked(tmp_path):
    path = tmp_path / "2026-11-25T14-0123456789ab.jsonl.gz"
    of_state = {"clock": "2026-11-25T14:03:00Z", "distance": 95}
    line = LINE | of_state | {"schedule_probability": 0.2}
    path.write_bytes(gzip.compress(f"{json.dumps(line)}\n".encode()))
    ((flight,),) = read_prediction_log(path)
    assert msgspec.to_builtins(flight) == line
    assert (flight.clock, flight.distance) == ("2026-11-25T14:03:00Z", 95)
    assert flight.schedule_probability == 0.2


def test_a_folder_is_read_hour_by_hour_with_files_that_are_still_written(tmp_path):
    for hour, number in ((15, 3), (14, 1), (16, 4)):
        name = f"2026-11-25T{hour}-0123456789ab.jsonl.gz"
        (tmp_path / name).write_bytes(member(number))
    (tmp_path / "2026-11-25T14-ffffffffffff.jsonl.gz.open").write_bytes(member(2))
    (tmp_path / "notes.txt").write_text("no log")
    assert numbers_of(tmp_path) == [1, 2, 3, 4]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_file_that_was_cut_off_is_read_up_to_there(tmp_path, data):
    members = [member(1, 2), member(3), member(4, 5, 6)]
    whole = b"".join(members)
    end = data.draw(st.integers(0, len(whole)))
    path = tmp_path / "cut.jsonl.gz.open"
    path.write_bytes(whole[:end])
    found = numbers_of(path)
    assert found == list(range(1, len(found) + 1))
    ends = [0, *(len(b"".join(members[:n])) for n in (1, 2, 3))]
    kept = max(place for place in ends if place <= end)
    assert whole_members(path) == kept
    assert len(found) >= (0, 2, 3, 6)[ends.index(kept)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (member(1) + b"no gzip", "cannot be read: Error -3"),
        (gzip.compress(b"{}\n"), "missing required field"),
        (gzip.compress(b"no json\n"), "cannot be read: JSON is malformed"),
    ],
    ids=["rubbish behind it", "another line", "no JSON"],
)
def test_another_file_is_rejected_by_name(content, message, tmp_path):
    path = tmp_path / "other.jsonl.gz"
    path.write_bytes(content)
    with pytest.raises(FlightsFileError, match=f"other.jsonl.gz. .*{message}"):
        list(read_prediction_log(path))


def test_a_folder_without_files_is_no_prediction_log(tmp_path):
    with pytest.raises(FlightsFileError, match="has no .jsonl.gz file"):
        list(read_prediction_log(tmp_path))
    with pytest.raises(FlightsFileError, match="No such file"):
        list(read_prediction_log(tmp_path / "none.jsonl.gz"))
