"""A load of single-flight requests whose answers are looked at.

Run by `make stress-test`; fails when a request fails or an answer is wrong.
"""

from __future__ import annotations

from typing import Any

from locust import HttpUser, constant, events, task

# Far from the threshold on either side, under every model of the SCL 2017 flights.
FLIGHTS = (
    ({"OPERA": "Aerolineas Argentinas", "TIPOVUELO": "N", "MES": 3}, 0),
    ({"OPERA": "Grupo LATAM", "TIPOVUELO": "I", "MES": 7}, 1),
)
answers: set[int] = set()


class Passenger(HttpUser):
    wait_time = constant(0.1)
    asked = 0

    @task
    def predict(self) -> None:
        flight, late = FLIGHTS[self.asked % len(FLIGHTS)]
        self.asked += 1
        with self.client.post(
            "/predict", json={"flights": [flight]}, catch_response=True
        ) as response:
            if response.status_code != 200:
                response.failure(f"status {response.status_code}")
                return
            if response.json() != {"predict": [late]}:
                response.failure(f"answer {response.text}")
                return
            answers.add(late)


@events.quitting.add_listener
def judge(environment: Any, **_: Any) -> None:
    if environment.stats.total.num_failures or answers != {0, 1}:
        environment.process_exit_code = 1
