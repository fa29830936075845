"""The same 200 flights, as each format writes them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from tests.conftest import ROOT

EXAMPLES = ROOT / "examples/columns"
ZONES = {"KDEN": ZoneInfo("America/Denver"), "KDFW": ZoneInfo("America/Chicago")}
BRASILIA, UTC = ZoneInfo("America/Sao_Paulo"), ZoneInfo("UTC")


class Flown(NamedTuple):
    """A flight; its schedule is local, and None minutes late is a cancelled one."""

    airline: str
    origin: str
    scheduled: datetime
    late: int | None

    @property
    def destination(self) -> str:
        return "KDEN" if self.origin == "KDFW" else "KDFW"

    def by(self, clock: ZoneInfo, form: str, minutes: int | None = 0) -> str:
        if minutes is None:
            return ""
        moment = self.scheduled.replace(tzinfo=ZONES[self.origin]).astimezone(UTC)
        moment += timedelta(minutes=minutes)
        return format(moment.astimezone(clock), form)


ISO = "%Y-%m-%d %H:%M:%S"
FLOWN = [
    Flown(
        ("AA", "UA", "WN")[n % 3],
        ("KDEN", "KDFW")[n % 2],
        # Over the change of the clock on 10 March 2013.
        datetime(2013, 3, 1, 6, 15) + timedelta(hours=3 * n),
        None if n % 50 == 7 else (n * 7) % 40 - 5,
    )
    for n in range(200)
]


def ours(one: Flown) -> dict[str, object]:
    return {
        "OPERA": one.airline,
        "TIPOVUELO": "N",
        "MES": one.scheduled.month,
        "SIGLAORI": one.origin,
        "SIGLADES": one.destination,
        "Fecha-I": f"{one.scheduled:{ISO}}",
        "Fecha-O": one.by(ZONES[one.origin], ISO, one.late),
    }


def bts(one: Flown) -> dict[str, object]:
    return {
        "FlightDate": f"{one.scheduled:%Y-%m-%d}",
        "Reporting_Airline": one.airline,
        "Origin": one.origin,
        "Dest": one.destination,
        "CRSDepTime": f"{one.scheduled:%H%M}",
        "DepDelay": "" if one.late is None else f"{one.late}.00",
        "Cancelled": "1.00" if one.late is None else "0.00",
        "Diverted": "0.00",
    }


def bts_in_capitals(one: Flown) -> dict[str, object]:
    day = one.scheduled
    return {
        "FL_DATE": f"{day.month}/{day.day}/{day.year} 12:00:00 AM",
        "OP_UNIQUE_CARRIER": one.airline,
        "ORIGIN": one.origin,
        "DEST": one.destination,
        "CRS_DEP_TIME": int(f"{day:%H%M}"),
        "DEP_DELAY": "" if one.late is None else one.late,
        "CANCELLED": int(one.late is None),
        "DIVERTED": 0,
    }


def nycflights13(one: Flown) -> dict[str, object]:
    day = one.scheduled
    return {
        **{"year": day.year, "month": day.month, "day": day.day},
        "sched_dep_time": int(f"{day:%H%M}"),
        "dep_delay": "NA" if one.late is None else one.late,
        "carrier": one.airline,
        "origin": one.origin,
        "dest": one.destination,
    }


def anac(one: Flown) -> dict[str, object]:
    form = "%d/%m/%Y %H:%M"
    return {
        "ICAO Empresa Aérea": one.airline,
        "Código Tipo Linha": "N",
        "ICAO Aeródromo Origem": one.origin,
        "ICAO Aeródromo Destino": one.destination,
        "Partida Prevista": one.by(BRASILIA, form),
        "Partida Real": one.by(BRASILIA, form, one.late),
        "Situação Voo": "CANCELADO" if one.late is None else "REALIZADO",
    }


def anac_of_2024(one: Flown) -> dict[str, object]:
    return {
        "Sigla ICAO Empresa Aérea": one.airline,
        "Código Tipo Linha": "C",
        "Sigla ICAO Aeroporto Origem": one.origin,
        "Sigla ICAO Aeroporto Destino": one.destination,
        "Partida Prevista": one.by(BRASILIA, ISO),
        "Partida Real": one.by(BRASILIA, ISO, one.late),
        "Situação Voo": "CANCELADO" if one.late is None else "REALIZADO",
    }


def anac_of_2015(one: Flown) -> dict[str, object]:
    form = "%d/%m/%Y %H:%M"
    return {
        "Sigla da Empresa": one.airline,
        "Tipo de Linha": "R",
        "Aeroporto Origem": one.origin,
        "Aeroporto Destino": one.destination,
        "Partida Prevista": one.by(BRASILIA, form),
        "Partida Real": one.by(BRASILIA, form, one.late),
        "Situação": "Cancelado" if one.late is None else "Realizado",
    }


def kaggle_2015(one: Flown) -> dict[str, object]:
    day = one.scheduled
    return {
        **{"YEAR": day.year, "MONTH": day.month, "DAY": day.day},
        "AIRLINE": one.airline,
        "FLIGHT_NUMBER": 98,
        "TAIL_NUMBER": "N407AS",
        "ORIGIN_AIRPORT": one.origin,
        "DESTINATION_AIRPORT": one.destination,
        "SCHEDULED_DEPARTURE": f"{day:%H%M}",
        "DEPARTURE_DELAY": "" if one.late is None else one.late,
        "SCHEDULED_TIME": 205,
        "ARRIVAL_DELAY": "",
        "DIVERTED": 0,
        "CANCELLED": int(one.late is None),
    }


def eurocontrol(one: Flown) -> dict[str, object]:
    form = "%d-%m-%Y %H:%M:%S"
    return {
        "ADEP": one.origin,
        "ADES": one.destination,
        "FILED OFF BLOCK TIME": one.by(UTC, form),
        "FILED ARRIVAL TIME": one.by(UTC, form, 100),
        "ACTUAL OFF BLOCK TIME": one.by(UTC, form, one.late),
        "ACTUAL ARRIVAL TIME": one.by(UTC, form, one.late),
        "AC Operator": one.airline,
        "AC Registration": "N407AS",
    }


def with_offsets(one: Flown) -> dict[str, object]:
    there = "%Y-%m-%dT%H:%M:%S%z"
    return ours(one) | {
        "Fecha-I": one.by(ZONES[one.origin], there),
        "Fecha-O": one.by(UTC, "%Y-%m-%dT%H:%MZ", one.late),
    }


def day_first(one: Flown) -> dict[str, object]:
    row = ours(one)
    for name in ("Fecha-I", "Fecha-O"):
        if row[name]:
            time = datetime.fromisoformat(str(row[name]))
            row[name] = f"{time.day}-{time.month}-{time.year} {time.hour}:{time:%M}"
    return row


def in_other_case(one: Flown) -> dict[str, object]:
    return {f" {name.lower()} ": value for name, value in ours(one).items()}


FORMATS = {
    "scl": (ours, None),
    "scl with offsets": (with_offsets, None),
    "scl, day first": (day_first, None),
    "scl in other case": (in_other_case, None),
    "bts": (bts, None),
    "bts in capitals": (bts_in_capitals, None),
    "nycflights13": (nycflights13, None),
    "anac-vra": (anac, None),
    "anac-vra of 2024": (anac_of_2024, None),
    "anac-vra of 2015": (anac_of_2015, None),
    "kaggle-2015": (kaggle_2015, "kaggle-2015.toml"),
    "eurocontrol": (eurocontrol, "eurocontrol.toml"),
}
