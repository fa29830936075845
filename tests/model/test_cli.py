"""The command, as a user and as a script call it."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from challenge.cli import app, main
from challenge.cli.tables import show, table
from tests.conftest import TEST_MODEL

PROGRAM = Path(sysconfig.get_path("scripts"), "flight-prophet")
COMMANDS = (
    ["train"],
    ["predict"],
    ["rank"],
    ["formats"],
    ["check-data"],
    ["serve"],
    ["check"],
    ["model", "show"],
    ["model", "status"],
    ["model", "promote"],
    ["model", "rollback"],
    ["model", "list"],
    ["live", "push"],
    ["live", "play"],
    ["live", "status"],
    ["live", "reset"],
    ["evaluate"],
    ["tune"],
    ["monitor"],
    ["update"],
    ["replay"],
    ["api-key"],
)


def test_every_command_has_help_with_an_example(capsys):
    listed = {command.callback.__name__ for command in app.registered_commands}
    named = {words[0].replace("-", "_") for words in COMMANDS if len(words) == 1}
    assert listed == named
    for words in COMMANDS:
        assert main([*words, "--help"]) == 0
        shown = capsys.readouterr().out
        assert "flight-prophet " + " ".join(words) in shown.split("Example")[1]


def test_help_tells_the_exit_codes(capsys):
    assert main(["--help"]) == 0
    assert "Exit codes: 0 success" in capsys.readouterr().out


def test_model_show_tells_what_a_model_is(schedule_model, capsys):
    assert main(["model", "show", str(schedule_model)]) == 0
    shown = capsys.readouterr().out
    for part in (
        "xgboost over the features 'schedule'",
        "68,206 of data.csv",
        "sample data, made from counts: none of the flights is a real one",
        "raised above 18.5%, high above 37.0%",
        "2017-01-01 00:35:00 to 2017-12-31 23:50:00",
        "23 airlines, 62 destinations",
        "last third by date",
    ):
        assert part in shown


def test_check_tells_that_a_model_learned_from_sample_data(schedule_model, capsys):
    assert main(["check", str(schedule_model)]) == 0
    assert "sample data, made from counts" in capsys.readouterr().out


def test_model_show_as_json_is_the_card(schedule_model, capsys):
    assert main(["model", "show", str(schedule_model), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["card"]["rows"] == 68_206
    assert shown["card"]["sample"]
    assert shown["card"]["levels"]["raised"] == shown["card"]["delay_rate"]
    assert len(shown["fingerprint"]) == 64
    assert "Grupo LATAM" in shown["vocabulary"]["names"]["OPERA"]


def test_train_as_json_is_the_card_of_the_new_model(sample_csv, tmp_path, capsys):
    output = tmp_path / "model.pkl"
    options = ["--classifier", "logistic-regression", "--features", "top10", "--json"]
    assert main(["train", str(sample_csv), str(output), *options]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["card"]["classifier"] == "logistic-regression"


def test_predict_as_json_counts(sample_csv, capsys):
    asked = ["predict", str(sample_csv), "--model", str(TEST_MODEL), "--json"]
    assert main(asked) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["rows"] == 68_206
    assert 0 < shown["delayed"] < shown["rows"]
    assert shown["invalid"] == 0


def test_predict_writes_only_the_invalid_rows_where_these_are_asked_for(
    tmp_path, capsys
):
    source, output = tmp_path / "flights.csv", tmp_path / "to_mend.csv"
    source.write_text("OPERA,TIPOVUELO,MES\nSky Airline,N,7\nNobody,N,7\n")
    asked = ["predict", str(source), str(output), "--model", str(TEST_MODEL)]
    assert main([*asked, "--invalid", "only"]) == 0
    header, row = output.read_text().splitlines()
    assert header == "OPERA,TIPOVUELO,MES,problem"
    assert row.startswith("Nobody,N,7,\"OPERA: 'Nobody' is not an airline")
    shown = capsys.readouterr().out
    assert "1 invalid rows" in shown and "predicted" not in shown


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["model", "show", "missing.pkl"], 1),
        (["predict", "missing.csv", "--model", str(TEST_MODEL)], 1),
        (["predict"], 2),
        (["model", "hide"], 2),
    ],
)
def test_what_went_wrong_is_told_by_the_exit_code(arguments, code):
    assert main(arguments) == code


def test_progress_is_for_terminals(sample_csv, tmp_path):
    asked = [PROGRAM, "predict", str(sample_csv), str(tmp_path / "answers.csv")]
    asked += ["--model", str(TEST_MODEL)]
    piped = subprocess.run(asked, capture_output=True, text=True, check=True)
    assert piped.stderr == ""
    ours, theirs = pty.openpty()
    subprocess.run(asked, stdout=subprocess.DEVNULL, stderr=theirs, check=True)
    os.close(theirs)
    assert "Predicting" in os.read(ours, 65_536).decode()
    os.close(ours)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_its_words(shell):
    told = subprocess.run(
        [sys.executable, "-c", "from challenge.cli import main; main()"],
        env=os.environ | {"_FLIGHT_PROPHET_COMPLETE": f"source_{shell}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "flight-prophet" in told.stdout


def test_a_pipe_gets_whole_lines_as_they_are(capsys):
    text = "[bold]x[/bold] :smile: " * 20
    show(table(["name", "flights"], [[text, "1"], ["y", "22"]]), "end")
    header, rule, first, second, *rest = capsys.readouterr().out.splitlines()
    assert header == "name".ljust(len(text)) + "  flights"
    assert set(rule) == {"─"} and len(rule) == len(header)
    assert first == text + "  " + "1".rjust(7)
    assert second == "y".ljust(len(text)) + "  " + "22".rjust(7)
    assert rest == ["", "end"]
