"""The client's messages of gRPC beside the servers' own, where those are installed."""

from __future__ import annotations

import subprocess

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool

from keras_resunits_client.messages import KSERVE, POOL, SERVING, TENSORFLOW, declared
from tests.support import triton_server

ENUM, INT32 = FieldDescriptor.TYPE_ENUM, FieldDescriptor.TYPE_INT32


def names(text: str) -> list[str]:
    """The full names of the messages of a declaration."""
    file = declared(text, [])
    below = [(file.package, message) for message in file.message_type]
    found = []
    for path, message in below:
        found.append(f"{path}.{message.name}")
        below.extend((found[-1], nested) for nested in message.nested_type)
    return found


def wire(field: FieldDescriptor) -> tuple:
    """All that decides how a field is written."""
    kind = INT32 if field.type == ENUM else field.type
    return field.number, kind, field.is_repeated, field.message_type and field.message_type.full_name


def require_equal(name: str, theirs) -> None:
    """Every field that the client declares is one of theirs, with its number and type."""
    ours = POOL.FindMessageTypeByName(name)
    assert {field.name: wire(field) for field in ours.fields} == {
        field.name: wire(theirs.fields_by_name[field.name]) for field in ours.fields
    }


@pytest.mark.parametrize("name", names(TENSORFLOW))
def test_tensors_are_tensorflows(name):
    from tensorflow.core.framework import tensor_pb2  # noqa: F401  (registers them)
    from tensorflow.core.protobuf import meta_graph_pb2

    require_equal(name, meta_graph_pb2.DESCRIPTOR.pool.FindMessageTypeByName(name))


@pytest.mark.peers
@pytest.mark.parametrize("name", names(SERVING))
def test_messages_are_tensorflow_servings(name):
    pytest.importorskip("tensorflow_serving.apis", reason="tensorflow-serving-api is not installed")
    from tensorflow_serving.apis import (  # noqa: F401  (registers them)
        get_model_metadata_pb2,
        get_model_status_pb2,
        predict_pb2,
    )

    require_equal(name, predict_pb2.DESCRIPTOR.pool.FindMessageTypeByName(name))


@pytest.mark.peers
def test_methods_are_tensorflow_servings():
    pytest.importorskip("tensorflow_serving.apis", reason="tensorflow-serving-api is not installed")
    from tensorflow_serving.apis import model_service_pb2, prediction_service_pb2

    predictions = prediction_service_pb2.DESCRIPTOR.services_by_name["PredictionService"]
    models = model_service_pb2.DESCRIPTOR.services_by_name["ModelService"]
    assert predictions.full_name == "tensorflow.serving.PredictionService"
    assert models.full_name == "tensorflow.serving.ModelService"
    assert {"Predict", "GetModelMetadata"} <= set(predictions.methods_by_name)
    assert "GetModelStatus" in models.methods_by_name


@pytest.fixture(scope="module")
def kserve():
    """The messages of `tritonclient`, from an environment of its own: it requires an older protobuf."""
    code = (
        "import sys; from tritonclient.grpc import model_config_pb2, service_pb2; "
        "sys.stdout.buffer.write(b'|'.join(each.DESCRIPTOR.serialized_pb.hex().encode() "
        "for each in (model_config_pb2, service_pb2)))"
    )
    done = subprocess.run([triton_server.python(), "-c", code], capture_output=True, check=True)
    pool = DescriptorPool()
    for file in done.stdout.split(b"|"):
        pool.AddSerializedFile(bytes.fromhex(file.decode()))
    return pool


@pytest.mark.peers
@pytest.mark.parametrize("name", names(KSERVE))
def test_messages_are_kserves(kserve, name):
    require_equal(name, kserve.FindMessageTypeByName(name))


@pytest.mark.peers
def test_methods_are_kserves(kserve):
    service = kserve.FindServiceByName("inference.GRPCInferenceService")
    assert {"ModelInfer", "ModelMetadata", "ModelReady"} <= set(service.methods_by_name)
