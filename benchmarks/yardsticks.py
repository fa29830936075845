"""What the service is measured against: four other servers of POST /predict."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


class Flight(BaseModel):
    OPERA: str
    TIPOVUELO: str
    MES: int


class Flights(BaseModel):
    flights: list[Flight]


class Predicted(BaseModel):
    predict: list[int]


fastapi_constant = FastAPI()


@fastapi_constant.post("/predict")
async def constant(request: Flights) -> Predicted:
    return Predicted(predict=[0])


async def _read_and_answer(request: Request) -> Response:
    await request.body()
    return JSONResponse({"predict": [0]})


starlette_constant = Starlette(
    routes=[Route("/predict", _read_and_answer, methods=["POST"])]
)


async def asgi_constant(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", b"15")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"predict":[0]}'})


def plain() -> FastAPI:
    """The usual way: pandas and scikit-learn in a FastAPI handler."""
    import pandas as pd
    from sklearn.linear_model import LogisticRegression

    columns = (
        "OPERA_Latin American Wings,MES_7,MES_10,OPERA_Grupo LATAM,MES_12,"
        "TIPOVUELO_I,MES_4,MES_11,OPERA_Sky Airline,OPERA_Copa Air"
    ).split(",")

    def features(data: pd.DataFrame) -> pd.DataFrame:
        dummies = [
            pd.get_dummies(data[name], prefix=name)
            for name in ("OPERA", "TIPOVUELO", "MES")
        ]
        return pd.concat(dummies, axis=1).reindex(columns=columns, fill_value=False)

    data = pd.read_csv(Path(os.environ["PLAIN_DATA"]), low_memory=False)
    late = pd.to_datetime(data["Fecha-O"]) - pd.to_datetime(data["Fecha-I"])
    model = LogisticRegression(class_weight="balanced")
    model.fit(features(data), late > pd.Timedelta(minutes=15))
    service = FastAPI()

    @service.post("/predict")
    async def predict(request: Flights) -> Predicted:
        table = pd.DataFrame([flight.model_dump() for flight in request.flights])
        return Predicted(predict=model.predict(features(table)).astype(int).tolist())

    return service
