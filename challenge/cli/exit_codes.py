"""Exit codes of the commands; typer exits with 2 on wrong usage."""

from typing import Final

FAILED: Final = 1
WORSE: Final = 3
