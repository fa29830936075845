"""Requests made at random from the API's own description, to a real server.

Whatever is sent: no status and no body that is not described, and no 5xx.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import (
    negative_data_rejection,
    positive_data_acceptance,
)

from challenge.api import create_app
from challenge.flights.fields import AIRLINE, DESTINATION
from challenge.model import DelayModel
from challenge.serving.routes.predictions import AT_SCHEMA
from challenge.serving.upload import FORM, MEDIA_TYPES
from tests.api.conftest import Server
from tests.conftest import TEST_MODEL

KEY = "a key of the tests"
AIRLINES = DelayModel.load(TEST_MODEL).vocabulary[AIRLINE]
DESTINATIONS = DelayModel.load(TEST_MODEL).vocabulary[DESTINATION]


KEYS = f"tests:{hashlib.sha256(KEY.encode()).hexdigest()}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("contract") / "server.log"
    server = Server(TEST_MODEL, 2, log, {"API_KEYS": KEYS})
    yield server
    assert server.stop() == 0
    assert "Traceback" not in server.log


with pytest.MonkeyPatch.context() as patch:
    patch.setenv("API_KEYS", KEYS)
    schema = schemathesis.openapi.from_dict(create_app(TEST_MODEL).openapi())
    # It has no end; see test_live_events.
    schema = schema.exclude(path="/flights/events")


def parquet(times: int) -> bytes:
    flight = "'Sky Airline' AS OPERA, 'N' AS TIPOVUELO, 12 AS MES"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "flights.parquet")
        duckdb.sql(f"SELECT {flight} FROM range({times})").write_parquet(str(path))
        return path.read_bytes()


rows = st.lists(st.sampled_from(["Grupo LATAM,I,7", "Sky Airline,N,12"]), min_size=1)
csv = rows.map(lambda lines: "\n".join(["OPERA,TIPOVUELO,MES", *lines, ""]).encode())
FILES = {
    "application/gzip": csv.map(gzip.compress),
    "application/vnd.apache.parquet": st.integers(1, 9).map(parquet),
}
for media_type in MEDIA_TYPES:
    schemathesis.openapi.media_type(media_type, FILES.get(media_type, csv))


def possible(body: Any) -> Any:
    """What a schema cannot say: the model's vocabulary, and times in the month."""
    if isinstance(body, dict) and isinstance(body.get("flights"), list):
        flights = {"flights": [_possible(flight) for flight in body["flights"]]}
        return body | flights | _whole(body, "top")
    return body


def _possible(flight: Any) -> Any:
    if not isinstance(flight, dict):
        return flight
    changed = flight | _whole(flight, "MES")
    for name, values in (
        ("OPERA", AIRLINES),
        ("SIGLAORI", ("Santiago",)),
        ("SIGLADES", DESTINATIONS),
    ):
        if isinstance(given := flight.get(name), str) and given:
            changed[name] = values[len(given) % len(values)]
    month = changed.get("MES")
    if month is None and isinstance(flight.get("Fecha-I"), str):
        month = 7
    if type(month) is int and 1 <= month <= 12 and flight.get("Fecha-I"):
        changed["Fecha-I"] = f"2017-{month:02}-28 08:15:00"
    for name in ("Llegada-I", "Llegada-E", "Llegada-O"):
        if isinstance(flight.get(name), str) and flight[name].strip():
            changed[name] = "2017-07-28 07:20:00"
    return changed


def _is_time(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(AT_SCHEMA["pattern"], value)


def _whole(values: dict[str, Any], name: str) -> dict[str, int]:
    """To JSON Schema 7.0 is an integer, too."""
    value = values.get(name)
    is_whole = isinstance(value, float) and value.is_integer()
    return {name: int(value)} if is_whole else {}


@schema.parametrize()
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_answer_is_as_described(case: schemathesis.Case, server: Server) -> None:
    # What is changed is judged against the description again.
    unfit = []
    if case.body != (changed := possible(case.body)):
        case.body = changed
        if case.query:
            # Of query and body together it is not.
            unfit.append(negative_data_rejection)
    for name in ("at", "Fecha-I"):
        if _is_time((case.query or {}).get(name)):
            # Of a day that there is, and that the model keeps flights of.
            case.query[name] = "2017-12-30 08:15"
    for name, value in (case.query or {}).items():
        if not isinstance(value, str):
            # A list of one value would be sent as the value.
            case.query[name] = json.dumps(value)
    described = {one.name for one in case.operation.query}
    if set(case.query or {}) - described:
        # As everywhere on the web, what nobody asks for is ignored.
        unfit.append(negative_data_rejection)
    # Left out where one must be missed.
    key = {"X-API-Key": KEY} if "X-API-Key" in case.headers else {}
    # How tensors fit together, binary ones, and a destination in a query that was made
    # of any value, the file in a form: that a request is possible, no schema can say here.
    if case.operation.path.endswith(("/infer", "/heatmap")) or case.media_type == FORM:
        unfit.append(positive_data_acceptance)
    if case.operation.path == "/flights" and case.method == "POST":
        # Its flights are judged one by one, and the others are taken. Messages have an
        # order in time.
        unfit += [negative_data_rejection, positive_data_acceptance]
    case.call_and_validate(base_url=server.url, headers=key, excluded_checks=unfit)
