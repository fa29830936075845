"""A client of the service, with httpx.

    python examples/client.py http://127.0.0.1:8000 [FLIGHTS.csv]

Predicts two flights, explains a prediction, and predicts a file if one is given. Set
API_KEY if the server needs a key.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

FLIGHTS = [
    {"OPERA": "Grupo LATAM", "TIPOVUELO": "N", "MES": 3},
    {
        "OPERA": "Sky Airline",
        "TIPOVUELO": "N",
        "MES": 7,
        "SIGLADES": "Calama",
        "Fecha-I": "2017-07-14 18:30:00",
    },
]

# Of a request that the service is too busy for; each after the time that it names.
RETRIES = 3


class Invalid(Exception):
    """The service rejected a request; the message has one line for each fault."""


class Client:
    """A client of the service.

    Args:
        url: of the service, like http://127.0.0.1:8000.
        key: for the header X-API-Key, if the service needs one.
    """

    def __init__(self, url: str, key: str | None = None) -> None:
        headers = {"X-API-Key": key} if key else {}
        # httpx itself retries failed connections only.
        transport = httpx.HTTPTransport(retries=RETRIES)
        self.http = httpx.Client(
            base_url=url, headers=headers, transport=transport, timeout=30
        )

    def predict(self, flights: list[dict[str, Any]]) -> list[float]:
        """Return the probability of a delay of each flight."""
        answer = self._post("/predict?details=true", flights)
        probabilities: list[float] = answer["probability"]
        return probabilities

    def explain(self, flights: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return an explanation of each prediction."""
        explanations: list[dict[str, Any]] = self._post("/explain", flights)[
            "explanations"
        ]
        return explanations

    def predict_file(self, source: Path, output: Path) -> None:
        """Write a CSV file with a prediction added to each row.

        Neither file is read into memory.
        """
        with (
            source.open("rb") as stream,
            self.http.stream(
                "POST",
                "/predict/file",
                content=_chunks(stream),
                headers={"Content-Type": "text/csv"},
                timeout=None,
            ) as answer,
        ):
            if answer.is_error:
                answer.read()
            _check(answer)
            with output.open("wb") as target:
                for chunk in answer.iter_bytes():
                    target.write(chunk)

    def _post(self, path: str, flights: list[dict[str, Any]]) -> dict[str, Any]:
        for _ in range(RETRIES):
            answer = self.http.post(path, json={"flights": flights})
            if answer.status_code not in (429, 503):
                break
            time.sleep(float(answer.headers.get("Retry-After", 1)))
        _check(answer)
        found: dict[str, Any] = answer.json()
        return found


def _chunks(stream: Any) -> Iterator[bytes]:
    while chunk := stream.read(1 << 20):
        yield chunk


def _check(answer: httpx.Response) -> None:
    if answer.is_error:
        try:
            faults = answer.json()["detail"]
        except ValueError:
            # Of a proxy in front of the service.
            raise Invalid(f"status {answer.status_code}: {answer.text[:200]}") from None
        raise Invalid(
            "\n".join(
                f"{' '.join(map(str, fault['loc']))}: {fault['msg']}".removeprefix(": ")
                for fault in faults
            )
        )


def main() -> None:
    url, *files = sys.argv[1:] or ["http://127.0.0.1:8000"]
    client = Client(url, os.environ.get("API_KEY"))
    for flight, probability in zip(FLIGHTS, client.predict(FLIGHTS), strict=True):
        print(f"{probability:.1%}  {flight}")
    print(client.explain(FLIGHTS[1:])[0]["text"])
    try:
        client.predict([{"OPERA": "LATAM", "TIPOVUELO": "N", "MES": 13}])
    except Invalid as faults:
        print(faults)
    for name in files:
        output = Path(name).with_suffix(".predictions.csv")
        client.predict_file(Path(name), output)
        print(output)


if __name__ == "__main__":
    main()
