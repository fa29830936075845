"""The file of a model: what is in it, and what is refused."""

from __future__ import annotations

import hashlib
import os
import pickle
import pickletools
import resource
import stat

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from challenge.artifact import model_file
from challenge.artifact.card import SCHEMA_VERSION, Levels
from challenge.classifier import LogisticRegressionClassifier, XGBoostClassifier
from challenge.cli import main
from challenge.errors import ModelFileError
from challenge.explain.evidence import RECORD_BYTES
from challenge.flights.fields import Flight
from challenge.flights.rules import FlightRules
from challenge.flights.scl_2017 import SCL_2017
from challenge.model import DelayModel
from tests.conftest import TEST_MODEL


@pytest.fixture(params=[LogisticRegressionClassifier, XGBoostClassifier])
def fitted(request, few_flights):
    model = DelayModel(request.param())
    return model.fit(*model.preprocess(few_flights, "delay"))


@pytest.fixture
def file(fitted, tmp_path):
    path = tmp_path / "model.pkl"
    fitted.save(path)
    return path


def test_a_loaded_model_answers_as_the_saved_one(fitted, file, few_flights):
    loaded = DelayModel.load(file)
    features = loaded.preprocess(few_flights)
    assert loaded.predict(features) == fitted.predict(features)
    assert loaded.predict_proba(features).tolist() == (
        fitted.predict_proba(features).tolist()
    )
    assert loaded.table.probabilities == fitted.table.probabilities
    assert loaded.threshold == fitted.threshold


def test_the_card_tells_what_the_model_is(file):
    card = DelayModel.load(file).card
    assert card.schema_version == SCHEMA_VERSION
    assert card.features == "top10"
    assert card.classifier in {"logistic-regression", "xgboost"}
    assert card.rows == 60
    assert card.delay_rate == card.threshold == pytest.approx(4 / 60)
    assert card.threshold_rule == "balanced"
    assert {"python", "numpy", "scikit-learn"} <= card.library_versions.keys()


@pytest.mark.parametrize(
    ("rate", "high"), [(0.0, 0.0), (0.2, 0.4), (0.5, 0.75), (0.9, 0.95)]
)
def test_a_level_begins_above_its_bound(rate, high):
    levels = Levels.of_delay_rate(rate)
    assert (levels.raised, levels.high) == (rate, high)
    assert levels.level_of(rate) == "usual"
    assert levels.level_of(high + 1e-9) == "high"
    if rate:
        assert levels.level_of(rate + 1e-9) == levels.level_of(high) == "raised"


def test_the_card_has_the_bounds_of_the_levels(file):
    card = DelayModel.load(file).card
    assert card.levels == Levels(raised=card.delay_rate, high=2 * card.delay_rate)
    assert not card.sample


def test_a_card_of_before_there_were_levels_gets_them(file):
    card = DelayModel.load(file).card
    old = msgspec.to_builtins(card)
    del old["levels"], old["sample"]
    assert msgspec.convert(old, type(card)) == card
    assert DelayModel.load(TEST_MODEL).card.levels.raised == pytest.approx(
        0.18494, 1e-4
    )


def test_the_fingerprint_is_the_checksum_of_the_file(file):
    expected = hashlib.sha256(file.read_bytes()).hexdigest()
    assert DelayModel.load(file).fingerprint == expected


def test_the_file_holds_no_object_of_any_library(file):
    header = pickle.loads(file.read_bytes())
    for data in (file.read_bytes(), header["contents"]):
        opcodes = {opcode.name for opcode, _, _ in pickletools.genops(data)}
        assert opcodes.isdisjoint({"GLOBAL", "STACK_GLOBAL", "REDUCE", "NEWOBJ"})


def test_the_same_flights_give_the_same_file_but_for_its_date(few_flights, tmp_path):
    contents = []
    for name in ("one.pkl", "two.pkl"):
        model = DelayModel(XGBoostClassifier(), "schedule")
        model.fit(*model.preprocess(few_flights, "delay")).save(tmp_path / name)
        stored, _ = model_file.read(tmp_path / name)
        contents.append((stored.classifier, stored.table, stored.vocabulary))
    assert contents[0] == contents[1]


def test_saving_leaves_no_other_file_behind(fitted, tmp_path):
    fitted.save(tmp_path / "new" / "model.pkl")
    assert os.listdir(tmp_path / "new") == ["model.pkl"]


def test_others_may_read_the_file_as_the_umask_says(file):
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(file.stat().st_mode) == 0o666 & ~umask


def test_a_disk_without_room_leaves_the_old_model(fitted, file):
    before = file.read_bytes()
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(ModelFileError, match="cannot be written: File too large"):
            fitted.save(file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert file.read_bytes() == before
    assert os.listdir(file.parent) == ["model.pkl"]


def test_a_place_that_is_no_folder_is_told(fitted, file):
    with pytest.raises(ModelFileError, match="model.pkl/no.pkl' cannot be written: "):
        fitted.save(file / "no.pkl")


class RunsACommand:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def test_a_pickle_that_would_run_a_command_is_refused_without_running_it(tmp_path):
    path, proof = tmp_path / "model.pkl", tmp_path / "it-ran"
    path.write_bytes(pickle.dumps(RunsACommand(f"touch {proof}")))
    with pytest.raises(ModelFileError, match=r"asks for (posix|nt)\.system"):
        DelayModel.load(path)
    assert not proof.exists()


def test_a_command_inside_the_contents_is_refused_too(tmp_path):
    path, proof = tmp_path / "model.pkl", tmp_path / "it-ran"
    contents = pickle.dumps({"card": RunsACommand(f"touch {proof}")})
    path.write_bytes(pickle.dumps(_header(contents)))
    with pytest.raises(ModelFileError, match=r"asks for (posix|nt)\.system"):
        DelayModel.load(path)
    assert not proof.exists()


def _header(contents: bytes, **changes: object) -> dict[str, object]:
    return {
        "format": model_file.FORMAT,
        "schema_version": SCHEMA_VERSION,
        "sha256": hashlib.sha256(contents).hexdigest(),
        "contents": contents,
    } | changes


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty; make it with"),
        (b"not a pickle at all", "is not a flight-prophet model; make it with"),
        (b"PK\x03\x04 a zip", "is not a flight-prophet model"),
        (pickle.dumps({"a": 1}), "is not a flight-prophet model"),
        (pickle.dumps([1, 2]), "is not a flight-prophet model"),
        (b"\x80\x04Nr\xff\xff\xff\x7f.", "asks for the opcode LONG_BINPUT 2147483647"),
        (b"\x80\x04\x96" + bytes(5) + b"\1\0\0.", "is truncated"),
        (pickle.dumps(bytearray(9), protocol=5), "asks for the opcode BYTEARRAY8"),
        (pickle.dumps(_header(b"x", sha256="0")), "is damaged: its checksum"),
        (
            pickle.dumps(_header(b"x", schema_version=99)),
            "has schema version 99, this program reads 5; train the model again",
        ),
        (pickle.dumps(_header(pickle.dumps({}))), "is not a whole model: .*`card`"),
    ],
)
def test_a_file_that_is_no_model_is_refused(tmp_path, data, message):
    path = tmp_path / "model.pkl"
    path.write_bytes(data)
    with pytest.raises(ModelFileError, match=message) as error:
        DelayModel.load(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_a_truncated_file_is_refused(file, share):
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ModelFileError, match="is truncated"):
        DelayModel.load(file)


def test_a_file_with_one_bit_changed_in_its_contents_is_refused(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(ModelFileError, match="is damaged"):
        DelayModel.load(file)


def test_a_missing_file_is_told_with_how_to_make_it(tmp_path):
    with pytest.raises(
        ModelFileError, match="does not exist; make it with 'make model"
    ):
        DelayModel.load(tmp_path / "model.pkl")


def test_a_classifier_of_another_program_is_refused(file, tmp_path):
    stored, _ = model_file.read(file)
    other = msgspec.structs.replace(stored.card, classifier="oracle")
    model_file.write(file, msgspec.structs.replace(stored, card=other))
    with pytest.raises(ModelFileError, match="is not a whole model: .*'oracle'"):
        DelayModel.load(file)


def test_a_folder_is_no_model(tmp_path):
    with pytest.raises(ModelFileError, match="cannot be read: Is a directory"):
        DelayModel.load(tmp_path)


def test_a_file_without_permission_is_refused(file):
    file.chmod(0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # root may read every file
    try:
        with pytest.raises(ModelFileError, match="cannot be read: Permission denied"):
            DelayModel.load(file)
    finally:
        os.seteuid(user)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (bytes(8), "a table of 8 bytes for 552 cells"),
        (bytes(2209), "a table of 2209 bytes for 552 cells"),
    ],
    ids=["short", "long"],
)
def test_a_table_that_does_not_fit_the_model_is_refused(
    table, message, fitted, tmp_path
):
    fitted.save(tmp_path / "model.pkl")
    stored, _ = model_file.read(tmp_path / "model.pkl")
    values = {name: getattr(stored, name) for name in stored.__struct_fields__}
    model_file.write(
        tmp_path / "other.pkl", model_file.Artifact(**values | {"table": table})
    )
    with pytest.raises(ModelFileError, match=message):
        DelayModel.load(tmp_path / "other.pkl")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda counts: counts[:-1], "the counts are damaged"),
        (lambda counts: b"\x7f\x00" + counts[2:], "the counts are of other names"),
        (lambda counts: b"\xfe\xff" + counts[2:], "the counts are of other names"),
        (lambda counts: counts + counts, "the counts are larger than their"),
    ],
    ids=["cut", "above", "below", "twice"],
)
def test_counts_that_are_damaged_are_found_before_they_are_served(
    damage, message, schedule_model, tmp_path
):
    stored, _ = model_file.read(schedule_model)
    rows = stored.card.rows
    counts = model_file.decompress(stored.counts, rows * RECORD_BYTES)
    if message.startswith("the counts are larger"):
        card = msgspec.structs.replace(stored.card, rows=len(counts) // RECORD_BYTES)
        stored = msgspec.structs.replace(stored, card=card)
    path = tmp_path / "damaged.pkl"
    damaged = model_file.compress(damage(counts))
    model_file.write(path, msgspec.structs.replace(stored, counts=damaged))
    with pytest.raises(ModelFileError, match=message):
        DelayModel.load(path).verify()


def test_the_card_holds_flights_that_the_model_answers_as_written(schedule_model):
    model = DelayModel.load(schedule_model)
    known = model.card.known
    assert len(known) == 10
    assert sum("Fecha-I" in one.flight for one in known) == 5
    assert len({one.probability for one in known}) > 5
    flights = [one.flight for one in known]
    cells = list(map(model.encoder.cell, flights))
    answers = model.predict_flights(cells, model.questions(flights))
    assert answers == pytest.approx([one.probability for one in known], abs=1e-5)
    assert model.verify() is model


def test_a_model_that_answers_otherwise_is_found_out(wrong_model, capsys):
    with pytest.raises(ModelFileError, match="its card says 0[.]"):
        DelayModel.load(wrong_model).verify()
    assert main(["check", str(wrong_model)]) == 1
    assert "wrong.pkl' answers {'OPERA': " in capsys.readouterr().err


@given(
    st.integers(0, 22),
    st.integers(0, 1),
    st.integers(0, 11),
    st.integers(-1, 61),
    st.just((-1, -1)) | st.tuples(st.integers(0, 23), st.integers(0, 6)),
)
def test_the_values_of_a_flight_are_read_as_that_flight(a, t, m, d, time):
    flight = Flight(a, t, m, d, *time)
    assert FlightRules(SCL_2017).read(SCL_2017.values(flight)) == flight
