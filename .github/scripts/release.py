"""What a release needs of pyproject.toml and CHANGELOG.md; Python's own library only.

python3 release.py prepare 1.2.3   set the version, date the changelog's section
python3 release.py check v1.2.3    the tag is the version, and the changelog has it
python3 release.py notes v1.2.3    print the changelog's section
"""

from __future__ import annotations

import re
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = ROOT / "pyproject.toml"
CHANGELOG = ROOT / "CHANGELOG.md"
VERSION = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?")
UNRELEASED = "## [Unreleased]\n"


def prepare(version: str) -> None:
    if not VERSION.fullmatch(version):
        sys.exit(f"{version!r} is not a version like 1.2.3 or 1.2.3-rc1")
    changelog = CHANGELOG.read_text()
    if f"## [{version}]" in changelog:
        sys.exit(f"CHANGELOG.md has {version} already")
    start = changelog.index(UNRELEASED) + len(UNRELEASED)
    if not changelog[start:].partition("\n## [")[0].strip():
        sys.exit("CHANGELOG.md has nothing that is unreleased")
    today = datetime.now(UTC).date()
    dated = f"{changelog[:start]}\n## [{version}] - {today}\n{changelog[start:]}"
    project = PROJECT.read_text()
    PROJECT.write_text(
        re.sub(r'^version = ".*"$', f'version = "{version}"', project, flags=re.M)
    )
    CHANGELOG.write_text(dated)
    print(f"{version} is in pyproject.toml and CHANGELOG.md; commit, merge, then:")
    print(f"git tag v{version} && git push origin v{version}")


def notes(tag: str) -> str:
    changelog = CHANGELOG.read_text()
    heading = re.search(rf"^## \[{re.escape(tag[1:])}\].*\n", changelog, re.M)
    if heading is None:
        sys.exit(f"CHANGELOG.md has no section for {tag[1:]}")
    return changelog[heading.end() :].partition("\n## [")[0].strip()


def check(tag: str) -> None:
    version = tomllib.loads(PROJECT.read_text())["project"]["version"]
    if tag != f"v{version}":
        sys.exit(f"the tag {tag} is not the version in pyproject.toml, {version}")
    notes(tag)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["prepare", version]:
            prepare(version)
        case ["check", tag]:
            check(tag)
        case ["notes", tag]:
            print(notes(tag))
        case _:
            sys.exit(__doc__)
