"""Writes the answers to a Parquet file behind its columns."""

from __future__ import annotations

from array import array
from math import nan
from pathlib import Path

from challenge.files.answers import (
    PredictionCounts,
    Progress,
    added_columns,
    judged_rows,
)
from challenge.files.field_sql import sql_text
from challenge.files.kinds import reading
from challenge.files.rejected_rows import Invalid
from challenge.files.scanning import FlightsScan


def write_parquet(
    flights: FlightsScan, output: Path, invalid: Invalid, progress: Progress
) -> PredictionCounts:
    """Answer the rows of a Parquet file in another; arguments as of `write_csv`."""
    import duckdb
    import nanoarrow

    scored = PredictionCounts()
    model, answers = flights.model, flights.cursor()
    answers.execute("CREATE TEMP TABLE answers (probability DOUBLE, fault VARCHAR)")
    double = nanoarrow.float64()
    for cells, questions, faults in judged_rows(flights, scored):
        if invalid == "only":
            values = array("d", [nan]) * len(cells)
        else:
            values = array("d", model.predict_flights(cells, questions))
            for place in faults:
                values[place] = nan
        columns = {
            "probability": nanoarrow.c_array_from_buffers(
                double, len(values), [None, values]
            )
        }
        if invalid != "stop" and faults:
            told = [faults.get(place) for place in range(len(values))]
            columns["fault"] = nanoarrow.c_array(told, nanoarrow.string())
        batch = nanoarrow.c_array_from_buffers(
            nanoarrow.struct({name: one.schema for name, one in columns.items()}),
            len(values),
            [None],
            children=list(columns.values()),
        )
        answers.register("batch", nanoarrow.ArrayStream(batch))
        answers.execute("INSERT INTO answers BY NAME SELECT * FROM batch")
        answers.unregister("batch")
        scored.rows += len(values)
        progress(scored.rows)
    if scored.invalid and invalid == "stop":
        return scored
    # Of the answers, whatever the columns of the file are called.
    given_answer = "CASE WHEN NOT isnan(answers.probability) THEN"
    late = f"(answers.probability > {model.threshold!r})::TINYINT"
    values_sql = [
        f"{given_answer} answers.probability::FLOAT END",
        f"{given_answer} {late} END",
        "answers.fault",
    ]
    where = ""
    if invalid == "only":
        values_sql = values_sql[2:]
        where = "WHERE answers.fault IS NOT NULL"
    chosen = ", ".join(
        f"{value} AS {_name_sql(name)}"
        for value, name in zip(values_sql, added_columns(flights.source.names, invalid))
    )
    given = ", ".join(
        f"c{place} AS {_name_sql(name)}"
        for place, name in enumerate(flights.source.names)
    )
    try:
        # By position, which keeps the order of the rows; a join by number does not.
        answers.execute(
            f"COPY (SELECT {given}, {chosen} "
            f"FROM {flights.source.sql} POSITIONAL JOIN answers {where}) "
            f"TO {sql_text(str(output))} (FORMAT parquet)"
        )
    except duckdb.IOException as error:
        raise OSError(str(error).splitlines()[0]) from error
    except duckdb.Error as error:
        # Columns that no rule looked at are read here for the first time.
        with reading(flights.file.source):
            raise error
    delayed = answers.execute(
        f"SELECT coalesce(sum({late}), 0) FROM answers WHERE NOT isnan(probability)"
    ).fetchone()
    scored.delayed = int(delayed[0]) if delayed else 0
    return scored


def _name_sql(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
