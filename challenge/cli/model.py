"""Commands about model files: `check` and `model …`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from challenge.cli.exit_codes import WORSE
from challenge.cli.options import DEFAULT_MODEL, Json, ModelArgument, ModelOption
from challenge.cli.output import print_json, print_model_json
from challenge.cli.reading import reads_flights
from challenge.errors import WorseModelError
from challenge.files.formats import ReadOptions


def check(model: ModelArgument = DEFAULT_MODEL) -> None:
    """Validate a model file as a server would.

    Example:

        flight-prophet check model.pkl
    """
    from challenge.artifact.card import SAMPLE_DATA
    from challenge.model import DelayModel

    loaded = DelayModel.load(model).verify()
    print(f"{loaded.card.classifier}, {loaded.card.features}, {loaded.card.created}")
    if loaded.card.sample:
        print(SAMPLE_DATA)
    print(f"sha256:{loaded.fingerprint}")


def show(model: ModelArgument = DEFAULT_MODEL, as_json: Json = False) -> None:
    """Show the card of a model: its features, training data and quality.

    Examples:

        flight-prophet model show model.pkl

        flight-prophet model show model.pkl --json | jq .card.metrics.forward.roc_auc
    """
    if as_json:
        print_model_json(model)
        return
    from challenge.cli.summaries.model_card import print_card
    from challenge.model import DelayModel

    loaded = DelayModel.load(model)
    print_card(loaded.card, loaded.vocabulary, loaded.fingerprint)


def status(
    urls: Annotated[list[str], typer.Argument(help="Servers, like http://host:8000.")],
    key: Annotated[
        str | None,
        typer.Option(envvar="API_KEY", help="API key, for servers that need one."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show which models servers serve.

    Exits with 3 if they, or the workers of one, serve different models.

    Example:

        flight-prophet model status http://10.0.0.1:8000 http://10.0.0.2:8000
    """
    from challenge.serving.served_models import served_models

    served = served_models(urls, key)
    if as_json:
        print_json(served)
    else:
        from challenge.cli import tables

        tables.show(
            tables.columns(
                (fingerprint, f"{workers} workers", url)
                for url, models in served.items()
                for fingerprint, workers in models.items()
            )
        )
    if len({fingerprint for models in served.values() for fingerprint in models}) > 1:
        raise typer.Exit(WORSE)


@reads_flights
def promote(
    candidate: Annotated[Path, typer.Argument(help="File of the new model.")],
    model: ModelOption = DEFAULT_MODEL,
    flights: Annotated[
        str | None,
        typer.Option(
            help="Past flights: do not promote a model that ranks them worse than the "
            "model in use (exit code 3). Neither should have been trained on them."
        ),
    ] = None,
    *,
    reading: ReadOptions,
) -> None:
    """Replace the model in use; running servers reload it.

    The new model is validated first, as by `check`. The last five models are kept next
    to the file.

    Examples:

        flight-prophet model promote new.pkl --model /model/delay_model.pkl

        flight-prophet model promote new.pkl --flights last_weeks.csv
    """
    from challenge.training.promotion import promote as run

    if flights is not None and model.exists():
        from challenge.model import DelayModel
        from challenge.training.data.dataset import read_dataset
        from challenge.training.evaluate.model_comparison import compare_as_they_are

        comparison = compare_as_they_are(
            DelayModel.load(candidate),
            DelayModel.load(model),
            read_dataset(flights, options=reading),
        )
        if comparison is not None and comparison.is_worse:
            raise WorseModelError(model, comparison)
        print(comparison or "no flights that both models can predict")
    print(f"{model} is now {run(candidate, model)}")


def rollback(model: ModelOption = DEFAULT_MODEL) -> None:
    """Restore the model that was in use before.

    Example:

        flight-prophet model rollback --model /model/delay_model.pkl
    """
    from challenge.training.promotion import rollback as run

    print(f"{model} is now {run(model)}")


def list_models(model: ModelOption = DEFAULT_MODEL, as_json: Json = False) -> None:
    """List promoted models, oldest first; * marks the one in use.

    Example:

        flight-prophet model list --model /model/delay_model.pkl
    """
    from challenge.training.promotion import promotions

    past = promotions(model)
    if as_json:
        print_json([one._asdict() for one in past])
    elif past:
        from challenge.cli import tables

        marks = ["*" if one.is_used else "" for one in past]
        tables.show(
            tables.columns(
                (mark, str(one.number), one.fingerprint, str(one.path))
                for mark, one in zip(marks, past)
            )
        )
