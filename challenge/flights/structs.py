"""The declared fields as those of msgspec's structs, for JSON with flights."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from challenge.flights.fields import FIELDS, Field, Kind


def flight_fields(limited: bool = True) -> list[tuple[str, Any, Any]]:
    """The fields of a flight as those of a struct, in the order of FIELDS.

    Args:
        limited: whether the limits on the length of texts apply.
    """
    return [_struct_field(field, limited) for field in FIELDS]


def _struct_field(field: Field, limited: bool) -> tuple[str, Any, Any]:
    kind: Any = int if field.kind is Kind.MONTH else str
    if field.max_length is not None and limited:
        kind = Annotated[str, msgspec.Meta(max_length=field.max_length)]
    if not field.may_be_left_out:
        return field.attribute, kind, msgspec.field(name=field.name)
    return field.attribute, kind | None, msgspec.field(name=field.name, default=None)
