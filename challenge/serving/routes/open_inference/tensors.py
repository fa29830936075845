"""Tensors of the Open Inference Protocol: to columns of flights, and from answers.

In the binary form, an extension of Triton's, their data follow the JSON in their order.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, Final, TypeVar

import msgspec

from challenge.flights.faults import shown
from challenge.flights.rules import missing_columns
from challenge.flights.vocabulary import Vocabulary
from challenge.serving.body.items import ItemTooLongError, list_items, values_at_most
from challenge.serving.problems import RejectedRequest, rejection, request_fault
from challenge.serving.routes.open_inference.schema import (
    INPUTS,
    InferenceRequest,
    InputTensor,
)

# The codes of module struct.
_INTEGERS: Final = {
    **{"INT8": "b", "INT16": "h", "INT32": "i", "INT64": "q"},
    **{"UINT8": "B", "UINT16": "H", "UINT32": "I", "UINT64": "Q"},
}
_NUMBERS: Final = {"INT64": "q", "FP64": "d"}
# What describes a tensor takes some dozens of bytes.
MAX_SMALL_BYTES: Final = 4_096

T = TypeVar("T")


def invalid_inference(loc: list[Any], message: str) -> RejectedRequest:
    """The rejection of a request that breaks a rule of the protocol."""
    return RejectedRequest(400, request_fault(loc, "invalid_inference", message))


def decode_small(text: msgspec.Raw, kind: type[T], loc: list[Any]) -> T:
    """A part of a request that is never large.

    Raises:
        RejectedRequest: it is, or it is of another kind.
    """
    if memoryview(text).nbytes > MAX_SMALL_BYTES:
        raise invalid_inference(loc, f"is over {MAX_SMALL_BYTES:,} bytes")
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise invalid_inference(loc, str(error)) from None


def columns_of(
    request: InferenceRequest,
    binary: bytes,
    max_flights: int,
    vocabulary: Vocabulary,
) -> dict[str, list[Any]]:
    """The values of each field, as many for each.

    Args:
        request: its tensors may have their data in JSON.
        binary: the data of the others, in their order.
        max_flights: the limit on the number of flights.
        vocabulary: the names that the model knows.

    Raises:
        RejectedRequest: a tensor is unknown, missing, damaged or of a different length.
    """
    columns: dict[str, list[Any]] = {}
    begin = 0
    for tensor in request.inputs:
        if tensor.name not in INPUTS:
            known = ", ".join(INPUTS)
            raise invalid_inference(
                ["inputs"], f"{shown(tensor.name)} is not one of {known}"
            )
        if tensor.name in columns:
            raise invalid_inference([tensor.name], "is given twice")
        columns[tensor.name], begin = _values(tensor, binary, begin, max_flights)
    if missing := missing_columns(columns, vocabulary):
        raise RejectedRequest(
            400, *(request_fault([name], "missing", "is required") for name in missing)
        )
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise invalid_inference(["inputs"], f"the tensors differ in length: {found}")
    if not next(iter(lengths.values())):
        raise invalid_inference(["inputs"], "hold no flight; give at least one")
    return columns


def _values(
    tensor: InputTensor, binary: bytes, begin: int, max_flights: int
) -> tuple[list[Any], int]:
    """The values of a tensor, and the start of the next binary one."""
    name = tensor.name
    wanted = "BYTES" if INPUTS[name] == "BYTES" else "INT64"
    is_integer = wanted == "INT64" and tensor.datatype in _INTEGERS
    if tensor.datatype != wanted and not is_integer:
        raise invalid_inference(
            [name], f"the datatype {shown(tensor.datatype)} is not {wanted}"
        )
    shape = decode_small(tensor.shape, list[int], [name])
    if len(shape) not in (1, 2) or shape[1:] not in ([], [1]) or shape[0] < 0:
        raise invalid_inference(
            [name], f"the shape {shown(shape)} is neither [n] nor [n, 1]"
        )
    if shape[0] > max_flights:
        limit = f"{max_flights:,} flights"
        raise rejection(
            413, "too_long", f"{name} holds more than {limit}; send several requests"
        )
    parameters = decode_small(tensor.parameters, dict[str, Any], [name])
    size = parameters.get("binary_data_size")
    if size is None:
        text = bytes(tensor.data)
        if text == b"null":
            raise invalid_inference([name], "has no data")
        values = _decoded(text, shape[0], [name])
    else:
        if type(size) is not int or not 0 <= size <= len(binary) - begin:
            raise invalid_inference([name], f"{shown(size)} bytes are not in the body")
        data = binary[begin : begin + size]
        begin += size
        unpacked: Iterable[Any]
        try:
            if is_integer:
                code = _INTEGERS[tensor.datatype]
                unpacked = chain.from_iterable(struct.iter_unpack(f"<{code}", data))
            else:
                unpacked = _unpack_texts(data)
            values = list(islice(unpacked, shape[0] + 1))
        except (struct.error, UnicodeDecodeError) as error:
            raise invalid_inference(
                [name], f"the binary data is damaged: {error}"
            ) from None
    if len(values) != shape[0]:
        raise invalid_inference(
            [name], f"{len(values)} values do not fill the shape {shape}"
        )
    return values, begin


def _decoded(text: bytes, size: int, loc: list[Any]) -> list[Any]:
    """The values of a tensor in JSON, each by itself or in a list of its own."""
    if not text.startswith(b"["):
        raise invalid_inference(loc, "the data is not a list")
    try:
        if values_at_most(text) <= 3 * size + MAX_SMALL_BYTES:
            return _flat(msgspec.json.decode(text))
        # Of more values than there should be none but the first are looked at.
        return list(islice(_flat(islice(list_items(text), size + 1)), size + 1))
    except ItemTooLongError:
        raise invalid_inference(loc, "a value is too long") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise invalid_inference(loc, f"the data is not JSON: {error}") from None


def _flat(items: Iterable[Any]) -> list[Any]:
    lists = (item if isinstance(item, list) else [item] for item in items)
    return list(chain.from_iterable(lists))


def pack(datatype: str, values: Sequence[Any]) -> bytes:
    """The values of an output tensor in binary form."""
    if datatype == "BYTES":
        texts = [(value or "").encode() for value in values]
        return b"".join(struct.pack("<I", len(text)) + text for text in texts)
    return struct.pack(f"<{len(values)}{_NUMBERS[datatype]}", *values)


def _unpack_texts(data: bytes) -> Iterator[str]:
    """Texts, each after its length in bytes, a little-endian number of four bytes."""
    position = 0
    while position < len(data):
        (size,) = struct.unpack_from("<I", data, position)
        position += 4 + size
        if position > len(data):
            raise struct.error("a text ends after the data")
        yield data[position - size : position].decode()
