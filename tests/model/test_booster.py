"""The trees of an XGBoost model are read without XGBoost, whatever the bytes."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from challenge.classifier import XGBoostClassifier
from challenge.compiled.booster import Split, read_booster
from challenge.compiled.ubjson import read_ubjson

COLUMNS = 3


def fitted(**parameters) -> XGBoostClassifier:
    generator = np.random.default_rng(0)
    features = generator.integers(-1, [2, 30, 24], size=(3_000, COLUMNS))
    late = (features[:, 1] % 7 < 2) ^ (features[:, 2] > 17)
    return XGBoostClassifier(**parameters).fit(features, late, ordered=[2])


@pytest.fixture(scope="module")
def booster():
    return fitted(rounds=5).booster_


@pytest.fixture(scope="module")
def model(booster):
    return bytes(booster.save_raw("ubj"))


def test_universal_binary_json_is_read_as_the_json_of_the_same_model(booster, model):
    def single(value):
        """Floats of JSON are decimals of those of four bytes."""
        if isinstance(value, dict):
            return {name: single(one) for name, one in value.items()}
        if isinstance(value, list | tuple):
            return [single(one) for one in value]
        return float(np.float32(value)) if isinstance(value, float) else value

    expected = json.loads(bytes(booster.save_raw("json")))
    assert single(read_ubjson(model)) == single(expected)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"i\xff", -1),
        (b"U\xff", 255),
        (b"I\xff\xfe", -2),
        (b"l\0\0\1\0", 256),
        (b"L" + bytes(7) + b"\7", 7),
        (b"d" + struct.pack(">f", 0.5), 0.5),
        (b"D" + struct.pack(">d", 0.1), 0.1),
        (b"T", True),
        (b"F", False),
        (b"Z", None),
        (b"SU\2\xc3\xa9", "é"),
        (b"[i\1T]", [1, True]),
        (b"[#U\2i\1Z", [1, None]),
        (b"[$U#U\3abc", (97, 98, 99)),
        (b"{U\1ai\1i\1b[]}", {"a": 1, "b": []}),
    ],
    ids=repr,
)
def test_each_kind_of_value_is_read(data, value):
    assert read_ubjson(data) == value


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "out of range"),
        (b"i", "requires a buffer"),
        (b"x", "0x78 begins no value"),
        (b"TT", "more follows its end"),
        (b"SU\3ab", "a text is cut short"),
        (b"[$U#L\x7f" + bytes(7), "is no length of what is there"),
        (b"[$U#i\xff", "-1 is no length"),
        (b"[$Z#U\1", "0x5a is the type of no number"),
        (b"[$U", "tells no length"),
        (b"[#d" + bytes(4), "0.0 is no length"),
        (b"[" * 100, "nested deeper than 32"),
        (b"{U\1a" * 100, "nested deeper than 32"),
        (b"SU\1\xff", "invalid start byte"),
    ],
    ids=repr,
)
def test_what_is_no_universal_binary_json_is_refused(data, problem):
    with pytest.raises(ValueError, match=problem):
        read_ubjson(data)


def test_each_node_comes_before_its_children(model):
    booster = read_booster(model, COLUMNS)
    assert len(booster.trees) == 5
    for tree in booster.trees:
        children = {0}
        for place, node in enumerate(tree):
            if isinstance(node, Split):
                children |= {place + 1, node.right}
        assert children == set(range(len(tree))) and len(tree) > 10


def written(value: object) -> bytes:
    """A value as Universal Binary JSON."""
    if isinstance(value, dict):
        items = [written(name)[1:] + written(one) for name, one in value.items()]
        return b"{" + b"".join(items) + b"}"
    if isinstance(value, list | tuple):
        return b"[" + b"".join(map(written, value)) + b"]"
    if isinstance(value, str):
        return b"SL" + struct.pack(">q", len(value)) + value.encode()
    code, kind = ("L", "q") if isinstance(value, int) else ("D", "d")
    return code.encode() + struct.pack(f">{kind}", value)


def change_first(nodes: str, new: float):
    def change(learner):
        tree = learner["gradient_booster"]["model"]["trees"][0]
        tree[nodes] = [new, *tree[nodes][1:]]

    return change


def cut(nodes: str):
    def change(learner):
        tree = learner["gradient_booster"]["model"]["trees"][0]
        tree[nodes] = tree[nodes][:1]

    return change


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (change_first("left_children", 0), "no tree of its nodes"),
        (change_first("right_children", 0), "no tree of its nodes"),
        (change_first("right_children", -5), "no tree of its nodes"),
        (change_first("right_children", 9_999), "nodes are missing"),
        (cut("left_children"), "no tree of its nodes"),
        (cut("split_conditions"), "nodes are missing"),
        (change_first("split_indices", 3), "a column 3"),
        (change_first("split_indices", -1), "a column -1"),
        (change_first("split_conditions", float("nan")), "a node with nan"),
        (change_first("categories_sizes", 9_999), "categories are missing"),
        (change_first("categories_sizes", -1), "categories are missing"),
        (change_first("categories_segments", -1), "categories are missing"),
        (lambda learner: learner["gradient_booster"].pop("model"), "field `model`"),
        (lambda learner: learner["gradient_booster"].update(name="dart"), "'dart'"),
        (lambda learner: learner["objective"].update(name="reg:logit"), "'reg:logit'"),
        (
            lambda learner: learner["learner_model_param"].update(base_score="half"),
            "could not convert string to float: 'half'",
        ),
    ],
)
def test_trees_that_are_none_are_refused(change, problem, model):
    changed = read_ubjson(model)
    assert read_booster(written(changed), COLUMNS) == read_booster(model, COLUMNS)
    change(changed["learner"])
    with pytest.raises(ValueError, match=f"the trees are damaged: .*{problem}"):
        read_booster(written(changed), COLUMNS)


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_damaged_bytes_are_a_value_error_or_other_trees(data, model):
    place = data.draw(st.integers(0, len(model) - 1))
    length = data.draw(st.integers(0, 8))
    new = data.draw(st.binary(max_size=8))
    try:
        booster = read_booster(model[:place] + new + model[place + length :], COLUMNS)
    except ValueError:
        return
    assert isinstance(booster.base, float)
