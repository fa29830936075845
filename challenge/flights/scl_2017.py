"""The names in the public SCL 2017 dataset: what a new, unfitted model knows."""

from typing import Final

from challenge.flights.fields import (
    AIRLINE,
    DESTINATION,
    FLIGHT_TYPE,
    FLIGHT_TYPES,
    ORIGIN,
)
from challenge.flights.vocabulary import Vocabulary

_AIRLINES: Final = """
Aerolineas Argentinas; Aeromexico; Air Canada; Air France; Alitalia; American
Airlines; Austral; Avianca; British Airways; Copa Air; Delta Air; Gol Trans;
Grupo LATAM; Iberia; JetSmart SPA; K.L.M.; Lacsa; Latin American Wings; Oceanair
Linhas Aereas; Plus Ultra Lineas Aereas; Qantas Airways; Sky Airline; United
Airlines
"""
_DESTINATIONS: Final = """
Antofagasta; Arica; Asuncion; Atlanta; Auckland N.Z.; Balmaceda; Bariloche;
Bogota; Buenos Aires; Calama; Cancun; Castro (Chiloe); Cataratas Iguacu; Ciudad
de Mexico; Ciudad de Panama; Cochabamba; Concepcion; Copiapo; Cordoba; Curitiba,
Bra.; Dallas; Florianapolis; Guayaquil; Houston; Iquique; Isla de Pascua; La
Paz; La Serena; Lima; Londres; Los Angeles; Madrid; Melbourne; Mendoza; Miami;
Montevideo; Neuquen; Nueva York; Orlando; Osorno; Paris; Pisco, Peru; Puerto
Montt; Puerto Natales; Puerto Stanley; Punta Arenas; Punta Cana; Punta del Este;
Quito; Rio de Janeiro; Roma; Rosario; San Juan, Arg.; Santa Cruz; Sao Paulo;
Sydney; Temuco; Toronto; Tucuman; Ushuia; Valdivia; Washington
"""


def _listed(names: str) -> tuple[str, ...]:
    return tuple(" ".join(names.split()).split("; "))


SCL_2017: Final = Vocabulary(
    {
        AIRLINE: _listed(_AIRLINES),
        FLIGHT_TYPE: FLIGHT_TYPES,
        ORIGIN: ("Santiago",),
        DESTINATION: _listed(_DESTINATIONS),
    }
)
