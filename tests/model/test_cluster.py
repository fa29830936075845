"""A Dask cluster of real processes gives what one process gives, whatever befalls it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from challenge.cli import main
from challenge.errors import ClusterError, FlightsFileError, TrainingDataError
from challenge.files import dask_cluster as cluster_module
from challenge.files.dask_cluster import parallel_map
from challenge.files.many_files import predict_files
from challenge.training.recipe import Recipe
from challenge.training.train import train
from tests.conftest import TEST_MODEL

PARTS = 8
# Of the sample flights every so manyth is enough.
EVERY = 8
# The quickest to train: the file of any holds all counts and both splits' figures.
RECIPE = Recipe("logistic-regression", "all")
OPTIONS = ["--classifier", RECIPE.classifier, "--features", RECIPE.features]


class Cluster:
    """A scheduler and two workers, each a process with one thread."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{port}"
        self.log = folder / "cluster.log"
        self.folder = folder
        self.scheduler = self._start("scheduler", f"--port={port}", "--no-dashboard")
        self.workers = [self.add_worker() for _ in range(2)]
        until = time.monotonic() + 60
        while self.log.read_text().count("Registered to") < 2:
            assert time.monotonic() < until, self.log.read_text()
            time.sleep(0.1)

    def add_worker(self) -> subprocess.Popen:
        options = ("--nthreads=1", "--no-nanny", "--no-dashboard")
        return self._start("worker", self.address, *options)

    def stop(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()

    def _start(self, *arguments: str) -> subprocess.Popen:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "dask", *arguments],
                cwd=self.folder,
                stdout=log,
                stderr=subprocess.STDOUT,
            )


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    yield cluster
    cluster.stop()


@pytest.fixture(scope="module")
def parts(sample_csv, tmp_path_factory):
    """The sample flights as Parquet, a file for some of the airlines each."""
    folder = tmp_path_factory.mktemp("flights")
    flights = (
        f"SELECT * REPLACE (MES::INTEGER AS MES) FROM read_csv('{sample_csv}', "
        "auto_detect = true, all_varchar = true, delim = ',', quote = '\"') "
        f"QUALIFY row_number() OVER () % {EVERY} = 0"
    )
    for number in range(PARTS):
        duckdb.sql(
            f"COPY (SELECT * FROM ({flights}) WHERE length(OPERA) % {PARTS} = {number}) "
            f"TO '{folder}/part-{number}.parquet' (FORMAT parquet)"
        )
    return folder


@pytest.fixture
def same_date(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1500000000")


@pytest.fixture(scope="module")
def local_model(parts, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", "1500000000")
        output = tmp_path_factory.mktemp("models") / "local.pkl"
        train(parts, output, RECIPE)
        return output.read_bytes()


def test_the_model_is_that_of_one_process_byte_for_byte(
    cluster, parts, local_model, same_date, tmp_path
):
    output = tmp_path / "model.pkl"
    asked = ["train", str(parts), str(output), *OPTIONS]
    assert main([*asked, "--scheduler", cluster.address]) == 0
    assert output.read_bytes() == local_model


def test_answers_are_those_of_one_process(cluster, parts, tmp_path):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    here = predict_files(TEST_MODEL, parts, ours)
    there = predict_files(TEST_MODEL, parts, theirs, scheduler=cluster.address)
    assert (here.rows, here.delayed, here.invalid) == (
        68_206 // EVERY,
        there.delayed,
        0,
    )
    assert there.rows == here.rows
    assert 0 < here.delayed < here.rows
    names = sorted(path.name for path in ours.iterdir())
    assert names == sorted(path.name for path in theirs.iterdir())
    assert len(names) == PARTS
    for name in names:
        rows = "SELECT * FROM read_parquet('{}')".format
        difference = f"{rows(ours / name)} EXCEPT ALL {rows(theirs / name)}"
        assert duckdb.sql(difference).fetchall() == []
    counted = predict_files(TEST_MODEL, parts, None, scheduler=cluster.address)
    assert counted.delayed == here.delayed


def test_a_worker_that_is_killed_changes_nothing(
    parts, local_model, same_date, tmp_path
):
    cluster = Cluster(tmp_path)
    killed = []

    def kill_after_two(done: int, of: int) -> None:
        if done == 2 and not killed:
            killed.append(cluster.workers[0].pid)
            os.kill(killed[0], signal.SIGKILL)

    try:
        output = tmp_path / "model.pkl"
        train(parts, output, RECIPE, scheduler=cluster.address, progress=kill_after_two)
        assert cluster.workers[0].wait(10) == -signal.SIGKILL
    finally:
        cluster.stop()
    assert output.read_bytes() == local_model


@pytest.mark.parametrize("damage", ["gone", "broken", "other columns"])
def test_a_part_that_is_no_good_is_named_and_nothing_is_written(
    damage, cluster, parts, tmp_path
):
    folder = tmp_path / "flights"
    folder.mkdir()
    for part in parts.iterdir():
        (folder / part.name).write_bytes(part.read_bytes())
    bad = folder / "part-5.parquet"
    if damage == "gone":
        bad.unlink()
        bad.symlink_to(tmp_path / "nowhere.parquet")
    elif damage == "broken":
        bad.write_bytes(bad.read_bytes()[:1_000])
    else:
        duckdb.sql("SELECT 1 AS x").write_parquet(str(bad))
    output = tmp_path / "answers"
    with pytest.raises(FlightsFileError, match="part-5.parquet"):
        predict_files(TEST_MODEL, folder, output, scheduler=cluster.address)
    model = tmp_path / "model.pkl"
    with pytest.raises(TrainingDataError, match="part-5.parquet"):
        train(folder, model, scheduler=cluster.address)
    assert [path.name for path in tmp_path.iterdir()] == ["flights"]


def test_a_bad_row_is_told_with_its_file(cluster, parts, tmp_path):
    bad = tmp_path / "bad.parquet"
    flight = "'Sky Airline' AS OPERA, 'N' AS TIPOVUELO, 13 AS MES"
    duckdb.sql(f"SELECT {flight}").write_parquet(str(bad))
    with pytest.raises(FlightsFileError, match="bad.parquet.*row 1: MES: 13 is not"):
        predict_files(
            TEST_MODEL, tmp_path, tmp_path / "answers", scheduler=cluster.address
        )


def test_a_scheduler_that_is_not_there_is_told(parts, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(cluster_module, "CONNECT_SECONDS", 1)
    asked = ["train", str(parts), str(tmp_path / "model.pkl")]
    assert main([*asked, "--scheduler", "tcp://127.0.0.1:9"]) == 1
    told = capsys.readouterr().err
    assert "the scheduler 'tcp://127.0.0.1:9' cannot be used" in told
    assert len(told.splitlines()) == 1


def test_without_dask_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(ClusterError, match=re.escape("flight-prophet[dask]")),
        parallel_map("local"),
    ):
        pass


def test_answers_go_into_a_new_folder(parts, tmp_path):
    output = tmp_path / "answers"
    output.mkdir()
    (output / "mine.txt").touch()
    with pytest.raises(FlightsFileError, match="is there already; name a new folder"):
        predict_files(TEST_MODEL, parts, output)
    assert [path.name for path in output.iterdir()] == ["mine.txt"]


def test_a_late_answer_does_not_keep_the_folder_of_a_run_that_failed(
    parts, tmp_path, monkeypatch
):
    emptied = []

    def overtaken(folder: Path, **options: object) -> None:
        rmtree(folder, **options)
        if Path(folder).parent == tmp_path:
            emptied.append(folder)
            if len(emptied) == 1:
                folder.mkdir()
                (folder / "late.parquet").touch()

    rmtree = shutil.rmtree
    monkeypatch.setattr(shutil, "rmtree", overtaken)
    bad = tmp_path / "bad.parquet"
    bad.write_bytes(b"no parquet")
    source = f"{tmp_path}/*.parquet"
    (tmp_path / "good.parquet").write_bytes((parts / "part-5.parquet").read_bytes())
    with pytest.raises(FlightsFileError, match="bad.parquet"):
        predict_files(TEST_MODEL, source, tmp_path / "answers")
    assert len(emptied) == 2
    assert {path.suffix for path in tmp_path.iterdir()} == {".parquet"}


def test_files_of_one_name_are_refused(parts, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.csv").write_text("OPERA,TIPOVUELO,MES\n")
    with pytest.raises(FlightsFileError, match="'x.csv' is the name of 2 of the files"):
        predict_files(TEST_MODEL, tmp_path, tmp_path / "answers")
