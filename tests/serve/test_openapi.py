"""The OpenAPI document, and requests made from it."""

import json
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings


def test_the_document_describes_the_model(animal_client, row):
    document = animal_client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    body = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    described = body["schema"]["anyOf"][0]
    assert set(described["properties"]) == set(row)
    assert described["properties"]["skin"]["examples"] == ["feathers", "fur", "scales"]
    for example in body["examples"].values():
        assert animal_client.post("/predict", json=example["value"]).status_code == 200


def test_the_token_is_described(animal_model, serving):
    with serving(animal_model, token="a-long-enough-token") as client:  # noqa: S106
        headers = {"authorization": "Bearer a-long-enough-token"}
        document = client.get("/openapi.json", headers=headers).json()
    assert document["security"] == [{"token": []}]
    assert document["paths"]["/livez"]["get"]["security"] == []


def test_the_card(animal_client, animal_model):
    card = animal_client.get("/model").json()
    assert card == animal_client.get(f"/models/{animal_model.parent.name}").json()
    assert card["schema"]["class_names"] == ["calm", "loud"]
    assert len(card["digest"]) == 64
    assert card["explains"] is True
    assert card["example"].keys() == {"legs", "weight", "skin", "tame", "seen"}
    assert card["metrics"] is None  # there is no report beside this file


def test_metrics_come_from_the_report_beside_the_file(animal_model, serving, tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(animal_model.read_bytes())
    test = {"rows": 12, "accuracy": 0.75, "class_names": ["calm", "loud"], "answered": [{"threshold": 0.5}]}
    report = {"data": str(animal_model.parent / "animals.csv"), "rows_test": 12, "test": test}
    report["data"] = json.loads(json.dumps(report["data"]))
    with serving(path) as client:
        trained_on = client.get("/model").json()["trained_on"]
    report |= {"data": trained_on["data"], "rows_test": trained_on["rows_test"]}
    (tmp_path / "report.json").write_text(json.dumps(report))
    with serving(path) as client:
        assert client.get("/model").json()["metrics"]["test"]["accuracy"] == 0.75
    (tmp_path / "report.json").write_text(json.dumps(report | {"rows_test": 13}))  # of another run
    with serving(path) as client:
        assert client.get("/model").json()["metrics"] is None


def test_explanations_add_up(animal_client, row):
    content = animal_client.post("/predict?explain=true", json={"rows": [row, row | {"legs": "x"}]}).json()
    explanation = content["predictions"][0]["explanation"]
    assert explanation["winner"] == content["predictions"][0]["class"]
    total = explanation["intercept"] + sum(explanation["columns"].values())
    assert explanation["difference"] == pytest.approx(total)
    assert set(explanation["columns"]) == set(row)


def test_explanations_of_other_models_are_refused(picture_client, png):
    answer = picture_client.post("/predict?explain=true", content=png(9), headers={"content-type": "image/png"})
    assert answer.status_code == 400


def test_carried_columns(animal_client, table):
    headers = {"content-type": "text/csv", "accept": "text/csv"}
    body = table.head(3).write_csv()
    answer = animal_client.post("/predict?carry=voice&carry=legs", content=body, headers=headers)
    assert answer.text.splitlines()[0] == "voice,legs,class,probability_calm,probability_loud"
    assert animal_client.post("/predict?carry=nothing", content=body, headers=headers).status_code == 400
    clash = table.head(3).rename({"voice": "class"}).write_csv()
    assert animal_client.post("/predict?carry=*", content=clash, headers=headers).status_code == 400


def statuses_of(address, cases):
    """Send requests that schemathesis makes of the document; each answer is one that the document describes.

    Returns:
        How many answers had each status.
    """
    schemathesis = pytest.importorskip("schemathesis")
    statuses = Counter()
    for result in schemathesis.openapi.from_url(f"{address}/openapi.json").get_all_operations():
        check_operation(result.ok(), cases, statuses)
    return statuses


def check_operation(operation, cases, statuses):
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

    checks = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]

    @settings(max_examples=cases, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=operation.as_strategy())
    def check(case):
        response = case.call()
        statuses[response.status_code] += 1
        case.validate_response(response, checks=checks)

    check()


def test_answers_are_as_described(server):
    statuses = statuses_of(server[0], cases=5)
    assert {200, 422} <= set(statuses)


@pytest.mark.slow
def test_thousands_of_answers_are_as_described(server):
    statuses = statuses_of(server[0], cases=1000)
    assert sum(statuses.values()) > 2500  # three operations take a thousand; the others have nothing to vary
    assert {200, 422} <= set(statuses)
