"""Tensors of the Open Inference Protocol: to columns of flights, and from answers.

In the binary form, an extension of Triton's, their data follow the JSON in their order.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, Final

from challenge.flights.faults import shown
from challenge.flights.rules import missing_columns
from challenge.serving.problems import RejectedRequest, request_fault
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


def invalid_inference(loc: list[Any], message: str) -> RejectedRequest:
    """The rejection of a request that breaks a rule of the protocol."""
    return RejectedRequest(400, request_fault(loc, "invalid_inference", message))


def columns_of(request: InferenceRequest, binary: bytes) -> dict[str, list[Any]]:
    """The values of each field, as many for each.

    Args:
        request: its tensors may have their data in JSON.
        binary: the data of the others, in their order.

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
        columns[tensor.name], begin = _values(tensor, binary, begin)
    if missing := missing_columns(columns):
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


def _values(tensor: InputTensor, binary: bytes, begin: int) -> tuple[list[Any], int]:
    """The values of a tensor, and the start of the next binary one."""
    name = tensor.name
    wanted = "BYTES" if INPUTS[name] == "BYTES" else "INT64"
    is_integer = wanted == "INT64" and tensor.datatype in _INTEGERS
    if tensor.datatype != wanted and not is_integer:
        raise invalid_inference(
            [name], f"the datatype {shown(tensor.datatype)} is not {wanted}"
        )
    shape = tensor.shape
    if len(shape) not in (1, 2) or shape[1:] not in ([], [1]) or shape[0] < 0:
        raise invalid_inference(
            [name], f"the shape {shown(shape)} is neither [n] nor [n, 1]"
        )
    size = tensor.parameters.get("binary_data_size")
    if size is None:
        if tensor.data is None:
            raise invalid_inference([name], "has no data")
        lists = [item if isinstance(item, list) else [item] for item in tensor.data]
        values = list(chain.from_iterable(lists))
    else:
        if type(size) is not int or not 0 <= size <= len(binary) - begin:
            raise invalid_inference([name], f"{shown(size)} bytes are not in the body")
        data = binary[begin : begin + size]
        begin += size
        try:
            if is_integer:
                code = _INTEGERS[tensor.datatype]
                values = [value for (value,) in struct.iter_unpack(f"<{code}", data)]
            else:
                values = list(_unpack_texts(data))
        except (struct.error, UnicodeDecodeError) as error:
            raise invalid_inference(
                [name], f"the binary data is damaged: {error}"
            ) from None
    if len(values) != shape[0]:
        raise invalid_inference(
            [name], f"{len(values)} values do not fill the shape {shape}"
        )
    return values, begin


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
