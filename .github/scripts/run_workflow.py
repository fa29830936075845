"""Run the `run:` steps of a workflow as they stand in its file, on this machine.

    python run_workflow.py WORKFLOW [--job NAME]... [NAME=VALUE]...

Jobs run side by side, as on GitHub, but whatever they `needs:`; each in a clone of the
last commit. NAME=VALUE takes the place of a variable of the workflow's `env:`, and must
where the file takes it from GitHub. Steps that use an action are named and left out. The
first step that fails ends its job.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]


def environment(job: dict[str, Any], given: dict[str, str]) -> dict[str, str]:
    merged = {k: str(v) for k, v in job.get("env", {}).items()} | given
    foreign = [name for name, value in merged.items() if "${{" in value]
    if foreign:
        sys.exit(f"give a value: {' '.join(f'{name}=...' for name in foreign)}")
    return merged


def run_job(name: str, job: dict[str, Any], given: dict[str, str]) -> bool:
    variables = os.environ | environment(job, given)
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["git", "clone", "-q", ROOT, folder], check=True)
        for step in job["steps"]:
            title = f"{name}: {step.get('name', step.get('uses'))}"
            if "run" not in step:
                print(f"--    {title} (an action, left out)", flush=True)
                continue
            if failed and step.get("if") != "always()":
                continue
            start = time.monotonic()
            # As GitHub does with `shell: bash` left to its default.
            outcome = subprocess.run(
                ["bash", "-e", "-c", step["run"]],
                cwd=folder,
                env=variables,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            seconds = time.monotonic() - start
            word = "ok   " if outcome.returncode == 0 else "FAIL "
            told = f"{word} {title} ({seconds:.0f} s)"
            if outcome.returncode:
                told += f"\n{outcome.stdout[-8_000:]}"
                failed = True
            print(told, flush=True)
    return not failed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workflow", type=Path)
    parser.add_argument("--job", action="append")
    parser.add_argument("variables", nargs="*")
    options = parser.parse_intermixed_args()
    given = dict(text.split("=", 1) for text in options.variables)
    if subprocess.run(["docker", "compose", "version"], capture_output=True).returncode:
        if shutil.which("docker-compose") is None:
            sys.exit("neither 'docker compose' nor 'docker-compose' is here")
        given.setdefault("COMPOSE", "docker-compose")
    jobs = yaml.safe_load(options.workflow.read_text())["jobs"]
    names = options.job or list(jobs)
    with ThreadPoolExecutor(len(names)) as pool:
        passed = list(pool.map(lambda name: run_job(name, jobs[name], given), names))
    if not all(passed):
        sys.exit(1)


if __name__ == "__main__":
    main()
