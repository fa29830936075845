"""Exit codes of the command; `flight-prophet --help` explains them.

Wrong usage exits with 2, which is up to typer.
"""

from typing import Final

FAILED: Final = 1
WORSE: Final = 3
