"""The Open Inference Protocol v2, also with a real client."""

import numpy as np
import pytest

from polylogit.serve.inference_tensors import read_inference
from polylogit.serve.request_error import RequestError


def inputs_of(rows):
    kinds = {"legs": "INT64", "weight": "FP64", "skin": "BYTES", "tame": "BOOL", "seen": "BYTES"}
    return [
        {"name": name, "datatype": kind, "shape": [len(rows)], "data": [row[name] for row in rows]}
        for name, kind in kinds.items()
    ]


def test_metadata_and_health(animal_client, animal_model):
    name = animal_model.parent.name
    assert animal_client.get("/v2").json()["extensions"] == ["binary_tensor_data"]
    assert animal_client.get("/v2/health/live").status_code == animal_client.get("/v2/health/ready").status_code == 200
    assert animal_client.get(f"/v2/models/{name}/ready").json()["ready"] is True
    described = animal_client.get(f"/v2/models/{name}").json()
    assert {each["name"]: each["datatype"] for each in described["inputs"]}["skin"] == "BYTES"
    assert described["outputs"][1]["shape"] == [-1, 2]
    assert "error" in animal_client.get("/v2/models/none").json()


def test_inference_agrees_with_predict(animal_client, animal_model, row):
    rows = [row, row | {"legs": 1, "skin": "wool"}, row | {"weight": None}]
    request = {"id": "7", "inputs": inputs_of(rows)}
    found = animal_client.post(f"/v2/models/{animal_model.parent.name}/infer", json=request).json()
    assert found["id"] == "7"
    own = animal_client.post("/predict", json=rows).json()["predictions"]
    assert found["outputs"][0]["data"] == [each["class"] for each in own]
    probabilities = np.array(found["outputs"][1]["data"]).reshape(found["outputs"][1]["shape"])
    assert probabilities == pytest.approx(np.array([list(each["probabilities"].values()) for each in own]), abs=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        lambda request: request.pop("inputs"),
        lambda request: request["inputs"].pop(),
        lambda request: request["inputs"][0].update(shape=[2]),
        lambda request: request["inputs"][0].update(shape=["a"]),
        lambda request: request["inputs"][0].update(datatype="BF16"),
        lambda request: request["inputs"][0].update(data=["many"]),
        lambda request: request["inputs"][0].pop("data"),
        lambda request: request["inputs"].append(7),
        lambda request: request.update(outputs=[{"name": "other"}]),
        lambda request: request["inputs"][0].update(parameters={"binary_data_size": 99}),
    ],
)
def test_requests_that_break_the_protocol(animal_client, animal_model, row, change):
    request = {"inputs": inputs_of([row])}
    change(request)
    answer = animal_client.post(f"/v2/models/{animal_model.parent.name}/infer", json=request)
    assert answer.status_code == 400
    assert list(answer.json()) == ["error"]


def test_binary_data_that_are_cut_short():
    head = b'{"inputs": [{"name": "a", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": 6}}]}'
    length = str(len(head))
    assert read_inference(head + b"\x02\0\0\0hi", length).inputs["a"].values == ["hi"]
    for body, header in ((head + b"\x09\0\0\0hi", length), (head, "9999"), (head + b"\x02\0\0\0hi+", length)):
        with pytest.raises(RequestError):
            read_inference(body, header)


def test_a_real_client(server, animal_model, row, animal_client):
    triton = pytest.importorskip("tritonclient.http")
    address, _, _ = server
    client = triton.InferenceServerClient(address.removeprefix("http://"))
    name = animal_model.parent.name
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(name)
    assert [each["name"] for each in client.get_model_metadata(name)["outputs"]] == ["class", "probabilities"]
    arrays = {
        "legs": np.array([4, 1], dtype=np.int64),
        "weight": np.array([21.5, np.nan], dtype=np.float64),
        "skin": np.array(["fur", "scales"], dtype=object),
        "tame": np.array([True, False]),
        "seen": np.array(["2024-05-01", "2024-09-09"], dtype=object),
    }
    rows = [row, {"legs": 1, "weight": None, "skin": "scales", "tame": False, "seen": "2024-09-09"}]
    own = animal_client.post("/predict", json=rows).json()["predictions"]
    for binary in (True, False):
        inputs = []
        for column, array in arrays.items():
            tensor = triton.InferInput(column, array.shape, triton_kind(array))
            values = np.nan_to_num(array, nan=20.0) if not binary and array.dtype == np.float64 else array
            tensor.set_data_from_numpy(values, binary_data=binary)
            inputs.append(tensor)
        outputs = [triton.InferRequestedOutput(each, binary_data=binary) for each in ("class", "probabilities")]
        for wanted in (outputs, None):
            result = client.infer(name, inputs, outputs=wanted, request_compression_algorithm="gzip")
            classes = [each.decode() if isinstance(each, bytes) else each for each in result.as_numpy("class")]
            if binary:
                assert classes == [each["class"] for each in own]
            assert result.as_numpy("probabilities").shape == (2, 2)


def triton_kind(array):
    return {"int64": "INT64", "float64": "FP64", "object": "BYTES", "bool": "BOOL"}[str(array.dtype)]


def test_pictures(picture_client):
    pixels = np.full((2, 6, 8), 250, dtype=np.uint8)
    pixels[1] = 3
    request = {"inputs": [{"name": "pixels", "datatype": "UINT8", "shape": [2, 6, 8], "data": pixels.tolist()}]}
    found = picture_client.post("/v2/models/shades/infer", json=request).json()
    assert found["outputs"][0]["data"] == ["bright", "dark"]
    request["inputs"][0].update(shape=[2, 48])
    assert picture_client.post("/v2/models/shades/infer", json=request).status_code == 400
