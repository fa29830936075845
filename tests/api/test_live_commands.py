"""The commands `live …`, with real servers."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from zoneinfo import ZoneInfo

import httpx
import pytest

from challenge.cli import main
from challenge.errors import ServerError
from challenge.files.flight_changes import Change
from challenge.serving import live_client
from challenge.serving.live_client import LiveServer
from challenge.training.recipe import Recipe
from challenge.training.train import train
from tests.api.conftest import Server

SANTIAGO = ZoneInfo("America/Santiago")
KEY = "a key of the feed"
FEED_KEYS = f"ops:{hashlib.sha256(KEY.encode()).hexdigest()}"
NAMES = ("OPERA", "TIPOVUELO", "SIGLADES", "Fecha-I", "Vlo-I", "Fecha-O", "CANCELADO")


def minutes_from_now(minutes):
    time = datetime.now(SANTIAGO) + timedelta(minutes=minutes)
    return f"{time:%Y-%m-%d %H:%M}:00"


def flight(number, minutes, **more):
    return {
        "OPERA": "Grupo LATAM",
        "TIPOVUELO": "N",
        "SIGLADES": "Calama",
        "Vlo-I": f"LA{number}",
        "Fecha-I": minutes_from_now(minutes),
        **more,
    }


@pytest.fixture
def write(tmp_path):
    def run(rows, name="today.csv", names=NAMES):
        with (tmp_path / name).open("w", newline="") as stream:
            writer = csv.DictWriter(stream, names)
            writer.writeheader()
            writer.writerows(rows)
        return tmp_path / name

    return run


@pytest.fixture
def push(tmp_path, monkeypatch, capsys):
    """Runs `live push`; returns its exit code, what it says of the push, and stderr."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def run(source, server, *options):
        words = ["live", "push", str(source), "--url", server.url, *options]
        code = main([*words, "--json"])
        printed = capsys.readouterr()
        told = json.loads(printed.out) if code == 0 else {}
        return code, (told.get("accepted"), told.get("rejected")), printed.err

    return run


def known(server):
    """The flights that a server knows, by their numbers."""
    board = httpx.get(f"{server.url}/flights", params={"hours": 72}).json()
    listed = [one["flight"] for one in (*board["flights"], *board["left"])]
    return {one["Vlo-I"]: one for one in listed}


@pytest.fixture(scope="module")
def running(schedule_model, tmp_path_factory):
    log = tmp_path_factory.mktemp("commands") / "server.log"
    server = Server(schedule_model, 1, log, {})
    yield server
    server.end()


@pytest.fixture
def server(running):
    """One that knows no flight."""
    httpx.delete(f"{running.url}/flights").raise_for_status()
    return running


def test_a_job_of_every_minute_tells_what_has_changed(write, push, server):
    first, second = flight(100, 60), flight(101, 90)
    path = write([first, second])
    assert push(path, server) == (0, (2, 0), "")
    assert push(path, server) == (0, (0, 0), "")
    second |= {"CANCELADO": "si"}
    assert push(write([first, second]), server) == (0, (1, 0), "")
    assert known(server)["LA101"]["CANCELADO"] is True
    second |= {"CANCELADO": ""}
    # A flight that is no longer there stays as it was told.
    assert push(write([second]), server) == (0, (1, 0), "")
    assert "CANCELADO" not in known(server)["LA101"]
    assert known(server)["LA100"] == first


def test_people_are_told_what_was_sent(write, server, tmp_path, capsys):
    wrong = flight(101, 90) | {"TIPOVUELO": "X"}
    path = write([flight(100, 60), wrong, flight(102, 90) | {"Fecha-I": ""}])
    words = ["live", "push", str(path), "--url", server.url]
    words += ["--state", str(tmp_path / "sent.json")]
    for told in ("1 flights told", "nothing new"):
        assert main(words) == 0
        said = f"{told}, 1 refused, 1 rows without a time; the clock is 20"
        assert capsys.readouterr().out.startswith(said)


def test_reset_asks_first(write, push, server, capsys, monkeypatch):
    push(write([flight(100, 60)]), server)
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert main(["live", "reset", "--url", server.url]) == 1
    assert f"Let {server.url} forget 1 flights?" in capsys.readouterr().out
    assert len(known(server)) == 1


def test_a_server_that_was_emptied_is_told_all_again(write, push, server, capsys):
    path = write([flight(100, 60), flight(101, 90)])
    assert push(path, server)[1] == (2, 0)
    assert main(["live", "reset", "--url", server.url, "--yes"]) == 0
    assert capsys.readouterr().out == "2 flights forgotten\n"
    assert known(server) == {}
    assert push(path, server)[1] == (2, 0)
    assert len(known(server)) == 2


def test_flights_without_a_number_stay_apart(write, push, server):
    same = flight(0, 60) | {"Vlo-I": ""}
    rows = [same, dict(same), dict(same)]
    assert push(write(rows), server)[1] == (3, 0)
    rows[1] |= {"CANCELADO": "1"}
    # The one before says which of them is meant.
    assert push(write(rows), server)[1] == (2, 0)
    board = httpx.get(f"{server.url}/flights", params={"hours": 72}).json()
    assert len(board["flights"]) == 2
    assert [one["status"] for one in board["left"]] in ([], ["cancelled"])


def test_what_is_wrong_with_a_flight_is_told_with_its_row(write, push, server):
    wrong = flight(101, 90) | {"TIPOVUELO": "X"}
    soon = flight(102, 90) | {"Fecha-I": "soon"}
    path = write([flight(100, 60), wrong, soon])
    code, told, printed = push(path, server)
    assert (code, told) == (0, (1, 2))
    # Of a row that no request could tell, and of one that the server refuses.
    assert re.search(r"^row 3: TIPOVUELO: ", printed, re.MULTILINE)
    assert re.search(r"^row 4: Fecha-I: 'soon' is not a local time", printed, re.M)
    # It is sent again as long as it is so, and as a whole.
    assert push(path, server)[1] == (0, 2)
    path = write([flight(100, 60), flight(101, 90)])
    assert push(path, server)[1] == (1, 0)
    assert known(server)["LA101"]["TIPOVUELO"] == "N"


def test_only_flights_of_today_and_to_come_are_told(write, push, server):
    days = (-2, 0, 20, 50)
    path = write([flight(100 + n, day * 1_440) for n, day in enumerate(days)])
    assert push(path, server)[1] == (2, 0)


def test_a_flight_of_yesterday_that_was_told_may_leave_after_midnight(
    write, push, server
):
    yesterday = datetime.now(SANTIAGO).replace(hour=0, minute=0, second=0)
    before = (yesterday - timedelta(minutes=20)).isoformat()
    late = flight(100, 0) | {"Fecha-I": f"{before[:10]} {before[11:16]}:00"}
    assert push(write([late]), server, "--at", before)[1] == (1, 0)
    late |= {"Fecha-O": f"{yesterday:%Y-%m-%d} 00:00:00"}
    assert push(write([late, flight(101, 60)]), server)[1] == (2, 0)


def test_an_earlier_push_would_change_nothing(write, push, server):
    path = write([flight(100, 60)])
    push(path, server)
    hour_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    code, _, printed = push(path, server, "--at", hour_ago)
    assert code == 1
    assert "is before the last push of this file" in printed
    code, _, printed = push(path, server, "--at", "yesterday")
    assert code == 1
    assert "'yesterday' is not a time like" in printed


def test_what_a_server_refuses_is_one_line(write, push, server, serve, schedule_model):
    path = write([flight(100, 60)])
    code, _, printed = push(path, server, "--at", "2099-01-01 00:00")
    assert code == 1
    assert printed.count("\n") == 1
    assert "refuses POST /flights: '2099-01-01T03:00:00Z' is over 5 minutes" in printed
    locked = serve(schedule_model, workers=1, FEED_KEYS=FEED_KEYS)
    code, _, printed = push(path, locked)
    assert code == 1
    assert printed.count("\n") == 1
    assert push(path, locked, "--key", KEY)[:2] == (0, (1, 0))
    locked.end()
    code, _, printed = push(path, locked)
    assert code == 1
    assert "cannot be asked" in printed


def test_the_key_of_the_feed_may_stand_in_the_environment(
    write, push, serve, schedule_model, monkeypatch
):
    monkeypatch.setenv("FEED_KEY", KEY)
    locked = serve(schedule_model, workers=1, FEED_KEYS=FEED_KEYS, API_KEYS=FEED_KEYS)
    assert push(write([flight(100, 60)]), locked)[1] == (1, 0)


def test_large_files_are_told_in_several_requests(
    write, push, serve, schedule_model, monkeypatch
):
    monkeypatch.setattr(live_client, "FLIGHTS_A_REQUEST", 300)
    # The server takes fewer at one time than are sent, and tells a hundred faults.
    server = serve(schedule_model, workers=1, MAX_FLIGHTS=250)
    rows = [flight(n, 60 + n) for n in range(700)]
    for row in rows[:500:2]:
        row["TIPOVUELO"] = "X"
    code, told, printed = push(write(rows), server)
    assert (code, told) == (0, (450, 250))
    assert printed.splitlines()[-1] == "and 230 more"
    assert push(write(rows), server)[1] == (0, 250)


@pytest.fixture
def client(server):
    return LiveServer(server.url)


def test_status_tells_what_was_heard(server, client, capsys):
    assert main(["live", "status", "--url", server.url]) == 0
    assert re.search(r"^last message +none$", capsys.readouterr().out, re.MULTILINE)
    told = {name: value for name, value in flight(100, 60).items()}
    key = ("", "", "", "", "")
    at = int(datetime.now(UTC).timestamp())
    [receipt] = client.tell([[Change(key, 0, dict(told), told)]], at)
    assert receipt.accepted == 1
    assert main(["live", "status", "--url", server.url]) == 0
    shown = capsys.readouterr().out
    for line in (
        rf"clock +{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC",
        r"last message +0:00:\d\d ago",
        r"flights +1",
        r"durable +no, it ends with the server",
        r"store +ok",
    ):
        assert re.search(f"^{line}$", shown, re.MULTILINE)
    assert main(["live", "status", "--url", server.url, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["flights"] == 1


def test_an_address_must_be_one_of_this_service(server):
    with pytest.raises(ServerError, match="is no address like"):
        LiveServer("ftp://127.0.0.1")
    with pytest.raises(ServerError, match="404|nothing at"):
        LiveServer(f"{server.url}/other").model()


@pytest.fixture
def scripted():
    """Starts servers that give each answer once, and the last again and again."""
    started = []

    def start(*answers):
        left = list(answers)

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, body = left.pop(0) if len(left) > 1 else left[0]
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Retry-After", "0")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = answer

            def log_message(self, *_):
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever).start()
        started.append(server)
        return LiveServer(f"http://127.0.0.1:{server.server_port}")

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


BUSY = 503, {"detail": [{"msg": "the server is busy"}]}


def test_a_busy_server_is_asked_again(scripted):
    body = {"live": {}}
    assert scripted(BUSY, BUSY, (200, body)).model() == body
    with pytest.raises(ServerError, match="refuses GET /model: the server is busy"):
        scripted(BUSY).model()


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ((200, [1]), "is not this service"),
        ((200, {"fingerprint": "…"}), "takes no messages"),
        ((500, "…"), "refuses GET /model: 500"),
    ],
)
def test_another_server_is_not_taken_for_one_of_this_service(answer, problem, scripted):
    with pytest.raises(ServerError, match=problem):
        scripted(answer).model()


def receipt(state):
    told = {"rejected": 0, "clock": "2017-05-14T12:00:00Z", "state": state}
    return 200, told | {"accepted": 1, "detail": [], "notes": []}


def test_a_server_that_is_emptied_meanwhile_is_told_again(write, push, scripted):
    described = {
        "live": {"state": "a"},
        "values": {"TIPOVUELO": {"N": {}}},
        "time_zones": {"": "America/Santiago"},
    }
    model = 200, described
    path = write([flight(100, 60)])
    server = scripted(model, receipt("b"), receipt("b"))
    assert push(path, server)[1] == (1, 0)
    server = scripted(model, *(receipt(state) for state in "bcde"))
    code, _, printed = push(path, server)
    assert code == 1
    assert "emptied again and again" in printed


@pytest.fixture(scope="session")
def december(sample_flights, tmp_path_factory):
    """A model of the flights until November 2017, and a file of all of them."""
    folder = tmp_path_factory.mktemp("december")
    past, model = folder / "past.csv", folder / "model.pkl"
    data = sample_flights[sample_flights["Fecha-I"] >= "2017-09-01"]
    data[data["Fecha-I"] < "2017-12-01"].to_csv(past, index=False)
    train(str(past), str(model), Recipe(parameters={"rounds": 5}))
    data.to_csv(folder / "all.csv", index=False)
    return model, folder / "all.csv"


def play(flights, server, *options):
    words = ["live", "play", str(flights), "--url", server.url, "--speed", "0"]
    return main([*words, *options])


def test_a_day_is_played_to_its_end(december, serve, capsys):
    model, flights = december
    server = serve(model, workers=1)
    options = ["--day", "2017-12-01", "--from", "05:00", "--until", "09:00"]
    assert play(flights, server, *options) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    lines = printed.out.splitlines()
    assert [line[:5] for line in lines] == [f"0{hour}:00" for hour in range(5, 10)]
    with flights.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    of_day = [one for one in rows if one["Fecha-I"].startswith("2017-12-01")]
    left = sum(one["Fecha-O"] <= "2017-12-01 09:00:00" for one in of_day)
    assert lines[-1].startswith(f"09:00  {left:5,} left; ")
    live = LiveServer(server.url).model()["live"]
    assert live["clock"] == "2017-12-01T12:00:00Z"
    assert live["flights"] == len(of_day)
    # The day was played already.
    assert play(flights, server, *options) == 1
    assert "live reset" in capsys.readouterr().err


def test_a_day_that_the_model_knows_is_not_played(december, serve, capsys):
    model, flights = december
    server = serve(model, workers=1)
    assert play(flights, server, "--day", "2017-11-30") == 1
    assert "that is no forecast" in capsys.readouterr().err
    assert play(flights, server, "--day", "2018-05-01") == 1
    assert "has no flights on 2018-05-01" in capsys.readouterr().err
