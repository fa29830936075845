"""Sources of one or many files: here, in folders, by patterns, and remote."""

from __future__ import annotations

import fsspec
import pytest

from challenge.errors import FlightsFileError
from challenge.files.sources import fetched, file_name, find_files


@pytest.fixture
def folder(tmp_path):
    for name in ("b.parquet", "a.csv", "deep/er/c.csv.gz", "notes.txt", "deep/d.csv"):
        path = tmp_path / "flights" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "flights"


@pytest.fixture
def elsewhere(folder):
    filesystem = fsspec.filesystem("memory")
    filesystem.put(str(folder), "/bucket", recursive=True)
    yield "memory://bucket"
    filesystem.rm("/bucket", recursive=True)


def names(files, folder):
    return [file.removeprefix(f"{folder}/") for file in files]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("", ["a.csv", "b.parquet", "deep/d.csv", "deep/er/c.csv.gz"]),
        ("/deep", ["deep/d.csv", "deep/er/c.csv.gz"]),
        ("/*.csv", ["a.csv"]),
        ("/[ab].*", ["a.csv", "b.parquet"]),
        ("/**/*.csv", ["a.csv", "deep/d.csv"]),
        ("/a.csv", ["a.csv"]),
    ],
)
def test_a_source_names_files_in_their_order(source, found, folder, elsewhere):
    assert names(find_files(f"{folder}{source}"), folder) == found
    files = find_files(f"{elsewhere}{source}")
    assert [file.split("bucket/")[1] for file in files] == found
    assert all(file.startswith("memory://") for file in files)


def test_a_pattern_may_be_relative(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert find_files("*.csv") == ["a.csv"]
    assert find_files("deep") == ["deep/d.csv", "deep/er/c.csv.gz"]


def test_a_file_may_look_like_a_pattern(tmp_path):
    path = tmp_path / "flights [1].csv"
    path.write_text("x")
    assert find_files(path) == [str(path)]


@pytest.mark.parametrize("source", ["*.json", "empty", "memory://bucket/x/*.csv"])
def test_a_source_without_files_is_told(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        FlightsFileError, match="names no .csv, .txt, .tsv, .gz, .zip, .xlsx or"
    ):
        find_files(source)


@pytest.mark.parametrize("source", ["nowhere://x/*.csv", "s3://bucket/flights.csv"])
def test_an_address_that_cannot_be_read_is_told(source):
    with pytest.raises(FlightsFileError) as told:
        find_files(source)
    assert str(told.value).startswith(repr(source))
    assert "needs a package" in str(told.value) or "cannot be read" in str(told.value)


def test_a_remote_file_is_fetched_and_leaves_no_trace(elsewhere):
    with fetched(f"{elsewhere}/deep/d.csv") as path:
        assert path.read_text() == "deep/d.csv"
        assert path.name == "d.csv" == file_name(f"{elsewhere}/deep/d.csv")
    assert not path.exists()


def test_an_error_about_a_fetched_file_names_its_address(elsewhere):
    file = f"{elsewhere}/a.csv"
    with (
        pytest.raises(FlightsFileError, match="'memory://bucket/a.csv' is odd"),
        fetched(file) as path,
    ):
        raise FlightsFileError(path, "is odd")


def test_a_remote_file_that_vanished_is_an_error(elsewhere):
    with (
        pytest.raises(FlightsFileError, match="cannot be read"),
        fetched(f"{elsewhere}/gone.csv"),
    ):
        pass
