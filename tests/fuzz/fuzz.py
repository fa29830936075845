"""Feeds bytes that libFuzzer makes to what reads files and bodies of strangers.

    python tests/fuzz/fuzz.py {artifact,body,csv,parquet} CORPUS [libFuzzer's options]

Starts from small valid inputs of its own, which it puts into CORPUS.

artifact: a model's file is read and answers, or is refused with ModelFileError, whatever
its bytes; nothing in it is run. Half of the inputs get a valid checksum.

body: a body of POST /predict is read, or refused with RejectedRequest; and reading it
in pieces of any size comes to the same.

csv, parquet: an uploaded file is answered, with as many answers as it has rows, or
refused with FlightsFileError or MissingColumnsError. The first byte says whether a CSV is
also compressed, in a ZIP file, or the sheet of an Excel file.
"""

from __future__ import annotations

import asyncio
import gzip
import os
import pickle
import sys
import tempfile
import zipfile
from pathlib import Path

import atheris
from msgspec import structs

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

with atheris.instrument_imports(include=["challenge", "pickle"]):
    from challenge.artifact import model_file
    from challenge.artifact.card import SCHEMA_VERSION
    from challenge.classifier import CLASSIFIERS, XGBoostClassifier
    from challenge.errors import (
        FlightsFileError,
        MissingColumnsError,
        ModelFileError,
    )
    from challenge.files.answering import predict_file
    from challenge.files.bounds import UPLOADS
    from challenge.model import DelayModel
    from challenge.serving.body import reader as body_module
    from challenge.serving.body.budget import BodyBudget
    from challenge.serving.problems import RejectedRequest
    from challenge.serving.upload import SUFFIXES, named_by_content

TEST_MODEL = ROOT / "tests/resources/test_model.pkl"
MAX_FLIGHTS, MAX_BYTES = 50, 4_000


def small_model(folder: str, classifier: str) -> bytes:
    """A model's file, without the table and counts that would hide its structure."""
    stored, _ = model_file.read(TEST_MODEL)
    state = stored.classifier
    if classifier == XGBoostClassifier.name:
        columns = range(len(state["categories"]))
        rows = [[number >> column & 1 for column in columns] for number in range(64)]
        late = [row[0] ^ row[3] for row in rows]
        trees = XGBoostClassifier(rounds=2, min_child_weight=1)
        state = trees.fit(rows, late).state()
    path = Path(folder, "small.pkl")
    model_file.write(
        path,
        model_file.Artifact(
            card=structs.replace(stored.card, classifier=classifier),
            vocabulary=stored.vocabulary,
            month_shares={7: 1.0},
            classifier=state,
            counts=None,
            table=None,
        ),
    )
    return path.read_bytes()


def with_checksum(contents: bytes) -> bytes:
    return pickle.dumps(
        {
            "format": model_file.FORMAT,
            "schema_version": SCHEMA_VERSION,
            "sha256": model_file.fingerprint(contents),
            "contents": contents,
        },
        protocol=model_file.PICKLE_PROTOCOL,
    )


class ArtifactTarget:
    def __init__(self) -> None:
        # On a disk of memory where there is one.
        memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
        self.folder = tempfile.TemporaryDirectory(dir=memory)
        self.path = Path(self.folder.name, "model.pkl")

    def seeds(self) -> list[bytes]:
        seeds = [pickle.dumps(os.getcwd, protocol=model_file.PICKLE_PROTOCOL)]
        for classifier in CLASSIFIERS:
            file = small_model(self.folder.name, classifier)
            seeds += [file, pickle.loads(file)["contents"]]
        return [bytes([place % 2 == 0]) + seed for place, seed in enumerate(seeds)]

    def __call__(self, data: bytes) -> None:
        checked = data[:1] == b"\1"
        self.path.write_bytes(with_checksum(data[1:]) if checked else data[1:])
        try:
            model = DelayModel.load(self.path)
        except ModelFileError:
            return
        if model.card is None or model.fingerprint is None:
            raise AssertionError("a model without a card was loaded")
        model.predict_cells([0, model.grid.cells - 1])


class BodyTarget:
    def __init__(self) -> None:
        self.model = DelayModel.load(TEST_MODEL)
        # Small bodies are cut up as large ones are.
        body_module.SLICE_BYTES = 64

    def seeds(self) -> list[bytes]:
        flight = b'{"OPERA":"Grupo LATAM","TIPOVUELO":"I","MES":7}'
        timed = flight[:-1] + b',"SIGLADES":"Lima","Fecha-I":"2017-07-06 08:15:00"}'
        return [
            b"\7" + b'{"flights":[' + b",".join(flights) + b"]}"
            for flights in ([flight], [flight, timed], [timed] * 5, [flight, b"[]"])
        ]

    def __call__(self, data: bytes) -> None:
        size = 1 + (data[0] if data else 0)
        body = data[1:]
        whole = self.read([body])
        pieces = [body[i : i + size] for i in range(0, len(body), size)]
        if self.read(pieces or [b""]) != whole:
            raise AssertionError(f"{body!r} in pieces of {size} is another body")

    def read(self, pieces: list[bytes]) -> object:
        left = list(pieces)

        async def receive() -> dict[str, object]:
            return {
                "type": "http.request",
                "body": left.pop(0),
                "more_body": bool(left),
            }

        reader = body_module.FlightsReader(
            self.model, MAX_FLIGHTS, MAX_BYTES, BodyBudget(MAX_BYTES)
        )
        try:
            return asyncio.run(reader.read(receive))
        except RejectedRequest as rejected:
            # What is wrong with the JSON itself is told as of the piece that shows it.
            return rejected.status


class FileTarget:
    """Uploaded files, as the service answers them."""

    def __init__(self) -> None:
        self.model = DelayModel.load(TEST_MODEL)
        memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
        self.folder = tempfile.TemporaryDirectory(dir=memory)
        self.path = Path(self.folder.name, "received.csv")

    def __call__(self, data: bytes) -> None:
        self.path.write_bytes(self.file(data))
        try:
            source = named_by_content(self.path)
            output = source.with_name("answers" + self.suffix(source))
            scored = predict_file(self.model, source, output, "keep", bounds=UPLOADS)
        except (FlightsFileError, MissingColumnsError):
            return
        again = self.count(output)
        if again is not None and again != scored.rows - scored.invalid:
            raise AssertionError(f"{data!r} has {scored.rows} rows, {again} answers")

    def file(self, data: bytes) -> bytes:
        return data

    def suffix(self, source: Path) -> str:
        return next(one for one in SUFFIXES.values() if source.name.endswith(one))

    def count(self, output: Path) -> int | None:
        """The answers of a file, where they can be counted without its parser."""
        return None


class CsvTarget(FileTarget):
    def seeds(self) -> list[bytes]:
        text = 'OPERA,TIPOVUELO,MES,nota\r\nGrupo LATAM,N,3,"a, b"\r\n\r\nSky,I,4,x\r\n'
        windows = "Año\nOPERA;TIPOVUELO;MES\nGrupo LATAM;N;3,0\n".encode("cp1252")
        bodies = [
            text.encode(),
            windows,
            text.replace(",", "\t").encode("utf-16"),
            b"sep=;\r" + text.replace(",", ";").encode(),
        ]
        sheet = b"<sheetData>%s%s</sheetData>" % (
            b"<row>%s</row>" % self.cells(b"OPERA", b"TIPOVUELO", b"MES"),
            b"<row>%s</row>" % self.cells(b"Grupo LATAM", b"N", b"3"),
        )
        return [
            *(bytes([kind]) + body for body in bodies for kind in range(3)),
            b"\3" + sheet,
        ]

    def cells(self, *texts: bytes) -> bytes:
        one = b'<c t="inlineStr"><is><t>%s</t></is></c>'
        return b"".join(one % text for text in texts)

    def file(self, data: bytes) -> bytes:
        kind, content = (data[0] % 4 if data else 0), data[1:]
        if kind == 0:
            return content
        if kind == 1:
            return gzip.compress(content, 1)
        archive = Path(self.folder.name, "archive.zip")
        with zipfile.ZipFile(archive, "w") as target:
            if kind == 2:
                target.writestr("flights.csv", content)
            else:
                book = '<workbook><sheet name="a" r:id="x"/></workbook>'
                relations = '<r><Relationship Id="x" Target="sheet.xml"/></r>'
                target.writestr("xl/workbook.xml", book)
                target.writestr("xl/_rels/workbook.xml.rels", relations)
                target.writestr("xl/sheet.xml", content)
        return archive.read_bytes()


class ParquetTarget(FileTarget):
    def seeds(self) -> list[bytes]:
        import duckdb

        path = Path(self.folder.name, "seed.parquet")
        found = []
        for more in (
            "",
            ", [1, 2] AS l",
            ", {'a': 1} AS s",
            ", DATE '2017-03-06' AS d",
        ):
            row = f"SELECT 'Grupo LATAM' AS OPERA, 'N' AS TIPOVUELO, 3 AS MES{more}"
            duckdb.sql(f"COPY ({row}) TO '{path}' (FORMAT parquet)")
            found.append(path.read_bytes())
        return found

    def count(self, output: Path) -> int | None:
        import duckdb

        counted = duckdb.execute(
            "SELECT count(probability) FROM read_parquet(?)", [str(output)]
        ).fetchone()
        return None if counted is None else int(counted[0])


def main() -> None:
    _, name, corpus, *options = sys.argv
    target = {
        "artifact": ArtifactTarget,
        "body": BodyTarget,
        "csv": CsvTarget,
        "parquet": ParquetTarget,
    }[name]()
    folder = Path(corpus)
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds()):
        folder.joinpath(f"seed-{number}").write_bytes(seed)
    atheris.Setup([sys.argv[0], corpus, *options], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
