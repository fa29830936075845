"""The documents agree with the code."""

from __future__ import annotations

import doctest
import re

from challenge.flights.fields import FIELDS
from tests.conftest import ROOT


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_architecture_names_every_file_and_no_other():
    package = ROOT / "challenge"
    files = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if path.name != "__init__.py"
    }
    assert len(files) > 100
    tables = text("docs/architecture.md").split("## Every file")[1]
    assert set(re.findall(r"^\| `([\w/]+\.py)` \|", tables, re.MULTILINE)) == files


def test_paths_in_the_documents_exist():
    documents = [*ROOT.glob("docs/*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    assert len(documents) > 10
    missing = [
        (document.name, path)
        for document in documents
        for path in re.findall(r"challenge/[\w/]+\.\w+", document.read_text())
        if not (ROOT / path).exists()
    ]
    assert missing == []


def test_the_library_session_runs_as_written(monkeypatch):
    monkeypatch.chdir(ROOT)
    failed, tried = doctest.testfile("docs/library.md", module_relative=False)
    assert tried > 10
    assert failed == 0


def test_the_table_of_fields_is_the_declaration():
    rows = re.findall(
        r"^\| `([\w-]+)` \| (\w+) \| (required|optional) \| (.+) \| `(.+)` \|$",
        text("docs/using.md"),
        re.MULTILINE,
    )
    assert rows == [
        (
            field.name,
            field.kind.value,
            "required" if field.required else "optional",
            field.description,
            str(field.example),
        )
        for field in FIELDS
    ]
