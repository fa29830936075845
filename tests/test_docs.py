"""The documents agree with the code."""

from __future__ import annotations

import doctest
import re
import tomllib
from pathlib import Path

from challenge import errors
from challenge.files.faults import CATALOGUE
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


def layers() -> list[list[str]]:
    """The modules of each layer, as import-linter enforces them."""
    settings = tomllib.loads(text("pyproject.toml"))["tool"]["importlinter"]
    [contract] = settings["contracts"]
    return [
        [name.strip().removeprefix("challenge.") for name in layer.split("|")]
        for layer in contract["layers"]
    ]


def test_the_picture_shows_the_layers_of_the_import_contract():
    # Layers are drawn on the left, those side by side at the same height.
    drawn = re.findall(
        r'<text x="(\d+)" y="(\d+)"[^>]*>(\w+)</text>',
        text("docs/images/architecture.svg"),
    )
    heights: dict[int, list[str]] = {}
    for x, y, name in drawn:
        if int(x) < 340:
            heights.setdefault(int(y), []).append(name)
    assert [heights[y] for y in sorted(heights)] == layers()


def test_every_package_has_its_section_in_the_architecture():
    headings = re.findall(r"^### (.+)$", text("docs/architecture.md"), re.MULTILINE)
    named = {
        name.removesuffix(".py") for line in headings for name in line.split(" and ")
    }
    assert named == {name for layer in layers() for name in layer}


def test_paths_in_the_architecture_exist():
    paths = re.findall(
        r"`((?:\w+/)+(?:\w+\.py)?|\w+\.py)`", text("docs/architecture.md")
    )
    assert "tests/model/classifier_checks.py" in paths
    roots = (ROOT, ROOT / "challenge")
    assert [p for p in paths if not any((root / p).exists() for root in roots)] == []


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


def test_links_in_the_documents_lead_somewhere():
    documents = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("data/*/*.md")]
    broken = []
    links = 0
    for document in documents:
        for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
            if link.startswith("http"):
                continue
            links += 1
            path, _, anchor = link.partition("#")
            target = document.parent / path if path else document
            if not target.exists() or (anchor and anchor not in anchors(target)):
                broken.append((document.name, link))
    assert links > 50
    assert broken == []


def anchors(document: Path) -> set[str]:
    """The fragments of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", line).lower().replace(" ", "-") for line in headings}


def test_the_library_session_runs_as_written(sample_csv, tmp_path, monkeypatch):
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    (tmp_path / "data").symlink_to(sample_csv.parent)
    monkeypatch.chdir(tmp_path)
    failed, tried = doctest.testfile(
        str(ROOT / "docs/library.md"),
        module_relative=False,
        optionflags=doctest.ELLIPSIS,
    )
    assert tried > 20
    assert failed == 0


def test_every_error_is_in_the_documents():
    rows = re.findall(
        r"^\| `(\w+Error)`(\*?) \|", text("docs/library.md"), re.MULTILINE
    )
    assert sorted(rows) == sorted(
        (name, "*" if issubclass(one, ValueError) else "")
        for name, one in vars(errors).items()
        if isinstance(one, type) and issubclass(one, errors.FlightProphetError)
        if one is not errors.FlightProphetError
    )


def test_the_catalogue_of_file_faults_is_the_declaration():
    rows = re.findall(r"^\| `(\w+)` \| (.+) \| (.+) \|$", text("docs/files.md"), re.M)
    declared = [(fault.kind, fault.message, fault.advice) for fault in CATALOGUE]
    assert len(declared) > 20
    assert sorted(rows) == sorted(declared)
    assert len({kind for kind, _, _ in declared}) == len(declared)


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
