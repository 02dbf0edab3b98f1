"""`POST /predict`: every format in, every format out, and rows at fault beside good ones."""

import gzip
import io
import json
from functools import cache

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from polylogit.classifier import Classifier
from polylogit.errors import DataError
from polylogit.recipes import recipe_from_entries
from polylogit.run import predict, train
from polylogit.serve.app import create_app
from polylogit.serve.settings import ServeSettings

GOOD = {"legs": 4, "weight": 21.5, "skin": "fur", "tame": True, "seen": "2024-05-01"}


@pytest.fixture(scope="module")
def expected(animal_model, table, tmp_path_factory):
    """The predictions of the command line for the table."""
    path = tmp_path_factory.mktemp("expected") / "animals.csv"
    table.write_csv(path)
    return predict(animal_model, str(path)).frame


def test_a_row_alone_gets_one_answer(animal_client, animal_model, row):
    answer = animal_client.post("/predict", json=row)
    assert answer.status_code == 200
    content = answer.json()
    own = Classifier.load(animal_model).predict_rows([row])[0]
    assert content["class"] == own.class_name
    assert content["probabilities"] == pytest.approx(own.probabilities, abs=1e-6)
    assert content["abstained"] is False
    assert content["notes"] == []


def test_many_rows_are_answered_in_their_order(animal_client, table, expected):
    rows = table.drop("voice").to_dicts()
    content = animal_client.post("/predict", json={"rows": rows}).json()
    assert [each["class"] for each in content["predictions"]] == expected["class"].to_list()
    loud = [each["probabilities"]["loud"] for each in content["predictions"]]
    assert loud == pytest.approx(expected["probability_loud"].to_list(), abs=1e-6)
    assert animal_client.post("/predict", json=rows).json() == content


def written(table, kind):
    file = io.BytesIO()
    write = {
        "text/csv": lambda: table.write_csv(file),
        "text/tab-separated-values": lambda: table.write_csv(file, separator="\t"),
        "application/x-ndjson": lambda: table.write_ndjson(file),
        "application/vnd.apache.parquet": lambda: table.write_parquet(file),
        "application/vnd.apache.arrow.stream": lambda: table.write_ipc_stream(file, compression="zstd"),
        "application/vnd.apache.arrow.file": lambda: table.write_ipc(file),
    }
    write[kind]()
    return file.getvalue()


@pytest.mark.parametrize(
    "kind",
    [
        "text/csv",
        "text/tab-separated-values",
        "application/x-ndjson",
        "application/vnd.apache.parquet",
        "application/vnd.apache.arrow.stream",
        "application/vnd.apache.arrow.file",
    ],
)
def test_each_format_in_gives_the_predictions_of_the_command_line(animal_client, table, expected, kind):
    answer = animal_client.post("/predict", content=written(table, kind), headers={"content-type": kind})
    assert answer.status_code == 200, answer.text
    found = answer.json()["predictions"]
    assert [each["class"] for each in found] == expected["class"].to_list()
    loud = [each["probabilities"]["loud"] for each in found]
    assert loud == pytest.approx(expected["probability_loud"].to_list(), abs=1e-6)


READERS = {
    "text/csv": pl.read_csv,
    "application/x-ndjson": lambda content: pl.read_ndjson(content).unnest("probabilities"),
    "application/vnd.apache.parquet": pl.read_parquet,
    "application/vnd.apache.arrow.stream": pl.read_ipc_stream,
}


@pytest.mark.parametrize("kind", READERS)
def test_each_format_out(animal_client, table, expected, kind):
    headers = {"content-type": "text/csv", "accept": kind}
    answer = animal_client.post("/predict", content=written(table, "text/csv"), headers=headers)
    assert answer.headers["content-type"].partition(";")[0] == kind
    found = READERS[kind](io.BytesIO(answer.content))
    assert found["class"].to_list() == expected["class"].to_list()
    column = "loud" if kind == "application/x-ndjson" else "probability_loud"
    assert found[column].to_list() == pytest.approx(expected["probability_loud"].to_list(), abs=1e-6)


def test_a_form_with_a_table(animal_client, table, expected):
    # Browsers name the media type of a CSV file in various ways.
    files = {"file": ("animals.csv", written(table, "text/csv"), "application/vnd.ms-excel")}
    found = animal_client.post("/predict", files=files).json()["predictions"]
    assert [each["class"] for each in found] == expected["class"].to_list()


def test_a_compressed_body(animal_client, row):
    content = gzip.compress(json.dumps(row).encode())
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    assert animal_client.post("/predict", content=content, headers=headers).json()["class"] in ("calm", "loud")


@pytest.mark.parametrize(
    ("changed", "column"),
    [
        ({"legs": "many"}, "legs"),
        ({"legs": [1]}, "legs"),
        ({"skin": {"a": 1}}, "skin"),
        ({"tame": 7}, "tame"),
        ({"seen": "yesterday"}, "seen"),
        ({"legs": 1e60}, "legs"),
        ({"skin": "\ud800"}, "skin"),
    ],
)
def test_a_bad_row_does_not_spoil_the_others(animal_client, row, changed, column):
    text = json.dumps({"rows": [row, row | changed, row]})
    answer = animal_client.post("/predict", content=text, headers={"content-type": "application/json"})
    assert answer.status_code == 200
    content = answer.json()
    assert [each["class"] is None for each in content["predictions"]] == [False, True, False]
    (error,) = content["errors"]
    assert (error["index"], error["column"]) == (1, column)
    assert "value" in error


def test_every_fault_of_a_row_is_listed(animal_client, row):
    bad = {name: value for name, value in row.items() if name != "skin"} | {"legs": "x", "skn": "fur"}
    content = animal_client.post("/predict", json=bad)
    assert content.status_code == 422
    errors = content.json()["errors"]
    assert [error["column"] for error in errors] == ["legs", "skin"]
    assert 'Did you mean "skn"?' in errors[1]["message"]


def test_bad_cells_of_a_table_are_named_with_row_and_value(animal_client, table):
    bad = (
        table.head(4)
        .cast({"legs": pl.String})
        .with_columns(
            legs=pl.Series(["1", "two", "3", "4"]), seen=pl.Series(["2024-01-01", "2024-01-01", "2024-01-01", "never"])
        )
    )
    headers = {"content-type": "text/csv"}
    content = animal_client.post("/predict", content=written(bad, "text/csv"), headers=headers).json()
    assert [(e["index"], e["column"], e["value"]) for e in content["errors"]] == [
        (1, "legs", "two"),
        (3, "seen", "never"),
    ]
    good = animal_client.post("/predict", content=written(bad[[0, 2]], "text/csv"), headers=headers).json()
    assert [content["predictions"][0], content["predictions"][2]] == good["predictions"]
    answer = animal_client.post("/predict", content=written(bad, "text/csv"), headers=headers | {"accept": "text/csv"})
    frame = pl.read_csv(io.BytesIO(answer.content))
    assert frame["class"].is_null().to_list() == [False, True, False, True]
    assert frame["error"].is_null().to_list() == [True, False, True, False]


def test_a_damaged_line_is_a_fault_of_its_row(animal_client, row):
    body = f"{json.dumps(row)}\n{{broken\n\n{json.dumps(row)}\n"
    content = animal_client.post("/predict", content=body, headers={"content-type": "application/x-ndjson"}).json()
    assert [each["class"] is None for each in content["predictions"]] == [False, True, False]
    assert "broken" not in json.dumps(content)


def test_nulls_and_numbers_as_text(animal_client, row):
    as_text = animal_client.post("/predict", json=row | {"legs": "4", "weight": "21.5", "tame": "yes"}).json()
    assert as_text["probabilities"] == animal_client.post("/predict", json=row).json()["probabilities"]
    missing = animal_client.post("/predict", json=row | {"weight": None, "skin": None}).json()
    assert 'column "skin"' in missing["notes"][0]
    assert len(missing["notes"]) == 1  # training rows have gaps in `weight`


def test_unseen_categories_are_noted(animal_client, row, table):
    assert 'column "skin"' in animal_client.post("/predict", json=row | {"skin": "wool"}).json()["notes"][0]
    body = written(table.with_columns(skin=pl.lit("wool")), "text/csv")
    content = animal_client.post("/predict", content=body, headers={"content-type": "text/csv"}).json()
    assert any("skin" in note for note in content["notes"])


@pytest.mark.parametrize(
    ("query", "hint"),
    [
        ("covrage=0.99", 'Did you mean "coverage"?'),
        ("abstain-below=0.9", 'Did you mean "abstain_below"?'),
        ("zebra=1", "Known: model, abstain_below, coverage, explain, carry."),
    ],
)
def test_a_parameter_that_is_not_known_is_named(animal_client, row, query, hint):
    answer = animal_client.post(f"/predict?{query}", json=row)
    assert answer.status_code == 400
    assert f'there is no parameter "{query.partition("=")[0]}"' in answer.text.replace('\\"', '"')
    assert hint in answer.text.replace('\\"', '"')
    assert "Known: model, abstain_below, coverage" in answer.text


def test_abstention(animal_client, row, animal_model, serving):
    content = animal_client.post("/predict?abstain_below=1", json=row).json()
    assert (content["class"], content["abstained"]) == (None, True)
    assert animal_client.post("/predict?abstain_below=2", json=row).status_code == 400
    with serving(animal_model, abstain_below=1.0) as client:
        assert client.post("/predict", json=row).json()["abstained"] is True
        assert client.post("/predict?abstain_below=0", json=row).json()["abstained"] is False


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 422),
        (b"", "application/json", 422),
        (b"\xff", "application/json", 422),
        (b"7", "application/json", 422),
        (b"[]", "application/json", 422),
        (b"[" * 100_000, "application/json", 422),
        (b'{"rows": []}', "application/json", 422),
        (b"\n\n", "application/x-ndjson", 422),
        (b"", "text/csv", 422),
        (b"legs,skin\n", "text/csv", 422),
        (b"legs,skin\n1,fur\n", "text/csv", 422),
        (b"PAR1 and nothing", "application/vnd.apache.parquet", 422),
        (b"nothing", "application/vnd.apache.arrow.stream", 422),
        (b"x", "multipart/form-data; boundary=b", 422),
        (b"x", "multipart/form-data", 422),
        (b"{}", "application/x-www-form-urlencoded", 415),
        (b"x", "image/png", 415),
    ],
)
def test_requests_that_cannot_be_read(animal_client, body, kind, status):
    answer = animal_client.post("/predict", content=body, headers={"content-type": kind})
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["request_id"] == answer.headers["x-request-id"]


def test_answers_that_cannot_be_given(animal_client, row):
    assert animal_client.post("/predict", json=row, headers={"accept": "image/png"}).status_code == 406
    assert animal_client.get("/predict").status_code == 405
    assert animal_client.get("/nowhere").json()["error"]["kind"] == "not_found"


def test_terse_errors_hold_no_values(animal_model, serving, row):
    with serving(animal_model, terse_errors=True) as client:
        content = client.post("/predict", json={"rows": [row, row | {"legs": "secret", "skn": 1}]})
        assert content.json()["errors"][0]["column"] == "legs"
        assert "secret" not in content.text
        for kind, body in (("text/csv", b'legs\n"secret'), ("text/csv", b"legs\n1\nsecret,secret,secret\n")):
            damaged = client.post("/predict", content=body, headers={"content-type": kind})
            assert damaged.status_code == 422
            assert "secret" not in damaged.text


def test_one_picture_and_several(picture_client, png):
    answer = picture_client.post("/predict", content=png(250), headers={"content-type": "image/png"})
    assert answer.json()["class"] == "bright"
    jpeg = picture_client.post("/predict", content=png(2, kind="JPEG"), headers={"content-type": "image/jpeg"})
    assert jpeg.json()["class"] == "dark"
    files = [("file", ("a.png", png(255), "image/png")), ("file", ("b.png", b"none", "image/png"))]
    files.append(("file", ("c.png", png(0, size=(300, 200)), "image/png")))
    content = picture_client.post("/predict", files=files).json()
    assert [(each["file"], each["class"]) for each in content["predictions"]] == [
        ("a.png", "bright"),
        ("b.png", None),
        ("c.png", "dark"),
    ]
    assert content["errors"][0]["index"] == 1


def test_a_model_of_pictures_takes_no_rows(picture_client, row):
    assert picture_client.post("/predict", json=row).status_code == 415


def test_several_models(animal_model, picture_model, serving, row, png):
    with serving(animal_model, picture_model) as client:
        name = animal_model.parent.name
        assert client.post(f"/models/{name}/predict", json=row).json()["model"] == name
        assert client.post(f"/predict?model={name}", json=row).status_code == 200
        picture = client.post("/models/shades/predict", content=png(9), headers={"content-type": "image/png"})
        assert picture.json()["class"] == "dark"
        assert client.post("/predict", json=row).json()["error"]["kind"] == "which_model"
        assert client.post("/models/none/predict", json=row).status_code == 404


def test_a_number_beyond_single_precision_once_standardised_is_a_fault_of_its_row(serving, tmp_path):
    rows = pl.DataFrame({"width": [n * 1e-6 for n in range(40)], "kind": ["a", "b"] * 20})
    rows.write_csv(tmp_path / "widths.csv")
    recipe = recipe_from_entries({"data": {"target": "kind"}})
    train(str(tmp_path / "widths.csv"), recipe, out=tmp_path / "model.safetensors")
    with serving(tmp_path / "model.safetensors") as client:
        as_text = client.post("/predict", content="width\n0.00001\n1e37\n", headers={"content-type": "text/csv"})
        as_json = client.post("/predict", json={"rows": [{"width": 0.00001}, {"width": 1e37}]})
    for answer in (as_text, as_json):
        assert answer.status_code == 200, answer.text
        assert [row["class"] is None for row in answer.json()["predictions"]] == [False, True]
        assert [(fault["index"], fault["column"]) for fault in answer.json()["errors"]] == [(1, "width")]


def test_rows_whose_scores_overflow_are_faults(animal_client, row):
    # Within float32 once they are standardised, but not when they are weighted and added.
    content = animal_client.post("/predict", json={"rows": [row, row | {"legs": 2e38, "weight": -2e38}]}).json()
    assert content["predictions"][0]["class"] is not None
    assert "overflow" in json.dumps(content["errors"]) or content["predictions"][1]["class"] is not None


def test_costs_and_prediction_sets(animal_model, serving, table, tmp_path):
    """The service decides as the command line does."""
    classifier = Classifier.load(animal_model)
    path = tmp_path / "costly.safetensors"
    costs = {"calm": {"calm": 0, "loud": 1}, "loud": {"calm": 30, "loud": 0}}
    classifier.with_decision(costs=costs).save(path)
    table.write_csv(tmp_path / "animals.csv")
    own = predict(path, str(tmp_path / "animals.csv"), coverage=0.8).frame
    with serving(path) as client:
        body = (tmp_path / "animals.csv").read_bytes()
        answer = client.post("/predict?coverage=0.8", content=body, headers={"content-type": "text/csv"}).json()
        refused = client.post("/predict?coverage=0.99999", content=body, headers={"content-type": "text/csv"})
        frame = client.post(
            "/predict?coverage=0.8", content=body, headers={"content-type": "text/csv", "accept": "text/csv"}
        )
    found = answer["predictions"]
    assert [each["class"] for each in found] == own["class"].to_list()
    assert [each["prediction_set"] for each in found] == own["prediction_set"].to_list()
    assert [each["expected_cost"] for each in found] == pytest.approx(own["expected_cost"].to_list(), abs=1e-5)
    assert refused.status_code == 400
    assert frame.text.splitlines()[0] == "class,expected_cost,prediction_set,probability_calm,probability_loud"


cells = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["fur", "scales", "4", "2024-05-01", "yes", "", "NA"]),
    st.lists(st.integers(), max_size=2),
)
any_rows = st.lists(
    st.one_of(st.fixed_dictionaries(dict.fromkeys(GOOD, cells)), st.dictionaries(st.sampled_from(list(GOOD)), cells)),
    min_size=1,
    max_size=6,
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(rows=any_rows)
def test_any_rows_are_answered_or_faults(animal_client, animal_model, rows):
    """Each row has the answer that it has alone: that of `predict_rows`, or an error where that raises one."""
    answer = animal_client.post(
        "/predict", content=json.dumps({"rows": rows}), headers={"content-type": "application/json"}
    )
    assert answer.status_code in (200, 422)
    content = answer.json()
    classifier = classifier_of(animal_model)
    faults = {error["index"] for error in content["errors"]}
    for number, row in enumerate(rows):
        try:
            own = classifier.predict_rows([row])[0]
        except DataError:
            assert number in faults
            continue
        assert number not in faults
        if answer.status_code == 200:
            assert content["predictions"][number]["class"] == own.class_name
            assert content["predictions"][number]["probabilities"] == pytest.approx(own.probabilities, abs=1e-6)


@cache
def classifier_of(path):
    return Classifier.load(path)


def test_the_rule_of_the_model_file_chooses_the_class(animal_model, row, tmp_path):
    """Costs that forbid the most probable class change the class and leave the probabilities."""
    plain = Classifier.load(animal_model)
    likely = plain.predict_rows([row])[0]
    other = next(name for name in plain.class_names if name != likely.class_name)
    costs = {true: {name: float(name != other) for name in plain.class_names} for true in plain.class_names}
    plain.with_decision(costs=costs).save(tmp_path / "m.safetensors")
    app = create_app(ServeSettings((tmp_path / "m.safetensors",)))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        content = client.post("/predict", json=row).json()
    assert content["class"] == other
    assert content["probabilities"] == pytest.approx(likely.probabilities, abs=1e-6)
