"""The few messages of gRPC that the client needs, equal on the wire to those of the servers.

`tensorflow-serving-api` holds TensorFlow Serving's, and requires TensorFlow. Here they are declared as in the servers'
own .proto files, less the fields that the client neither sends nor reads: a reader skips those. Enumerations are int32,
which is the same on the wire. They live in a pool of their own, so TensorFlow may be imported too.
"""

from __future__ import annotations

import re
from typing import Any

from google.protobuf import any_pb2, wrappers_pb2
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

TENSORFLOW = """
package tensorflow;
message TensorShapeProto {
  message Dim { int64 size = 1; }
  repeated .tensorflow.TensorShapeProto.Dim dim = 2;
  bool unknown_rank = 3;
}
message TensorProto {
  int32 dtype = 1;
  .tensorflow.TensorShapeProto tensor_shape = 2;
  bytes tensor_content = 4;
  repeated float float_val = 5;
  repeated double double_val = 6;
  repeated int32 int_val = 7;
  repeated bytes string_val = 8;
  repeated int64 int64_val = 10;
  repeated bool bool_val = 11;
  repeated int32 half_val = 13;
  repeated uint32 uint32_val = 16;
  repeated uint64 uint64_val = 17;
}
message TensorInfo {
  string name = 1;
  int32 dtype = 2;
  .tensorflow.TensorShapeProto tensor_shape = 3;
}
message SignatureDef {
  map<string, .tensorflow.TensorInfo> inputs = 1;
  map<string, .tensorflow.TensorInfo> outputs = 2;
  string method_name = 3;
}
"""

SERVING = """
package tensorflow.serving;
message ModelSpec {
  string name = 1;
  .google.protobuf.Int64Value version = 2;
  string signature_name = 3;
  string version_label = 4;
}
message PredictRequest {
  .tensorflow.serving.ModelSpec model_spec = 1;
  map<string, .tensorflow.TensorProto> inputs = 2;
}
message PredictResponse {
  map<string, .tensorflow.TensorProto> outputs = 1;
  .tensorflow.serving.ModelSpec model_spec = 2;
}
message SignatureDefMap { map<string, .tensorflow.SignatureDef> signature_def = 1; }
message GetModelMetadataRequest {
  .tensorflow.serving.ModelSpec model_spec = 1;
  repeated string metadata_field = 2;
}
message GetModelMetadataResponse {
  .tensorflow.serving.ModelSpec model_spec = 1;
  map<string, .google.protobuf.Any> metadata = 2;
}
message StatusProto {
  int32 error_code = 1;
  string error_message = 2;
}
message ModelVersionStatus {
  int64 version = 1;
  int32 state = 2;
  .tensorflow.serving.StatusProto status = 3;
}
message GetModelStatusRequest { .tensorflow.serving.ModelSpec model_spec = 1; }
message GetModelStatusResponse { repeated .tensorflow.serving.ModelVersionStatus model_version_status = 1; }
"""

KSERVE = """
package inference;
message ModelReadyRequest {
  string name = 1;
  string version = 2;
}
message ModelReadyResponse { bool ready = 1; }
message ModelMetadataRequest {
  string name = 1;
  string version = 2;
}
message ModelMetadataResponse {
  message TensorMetadata {
    string name = 1;
    string datatype = 2;
    repeated int64 shape = 3;
  }
  string name = 1;
  repeated string versions = 2;
  string platform = 3;
  repeated .inference.ModelMetadataResponse.TensorMetadata inputs = 4;
  repeated .inference.ModelMetadataResponse.TensorMetadata outputs = 5;
}
message ModelInferRequest {
  message InferInputTensor {
    string name = 1;
    string datatype = 2;
    repeated int64 shape = 3;
  }
  string model_name = 1;
  string model_version = 2;
  repeated .inference.ModelInferRequest.InferInputTensor inputs = 5;
  repeated bytes raw_input_contents = 7;
}
message ModelInferResponse {
  message InferOutputTensor {
    string name = 1;
    string datatype = 2;
    repeated int64 shape = 3;
  }
  string model_name = 1;
  string model_version = 2;
  repeated .inference.ModelInferResponse.InferOutputTensor outputs = 5;
  repeated bytes raw_output_contents = 6;
}
"""

PART = re.compile(
    r"message (?P<message>\w+) \{"
    r"|(?P<end>\})"
    r"|map<string, (?P<value>[\w.]+)> (?P<map>\w+) = (?P<at>\d+);"
    r"|(?P<repeated>repeated )?(?P<type>[\w.]+) (?P<name>\w+) = (?P<number>\d+);"
)


def declared(text: str, dependencies: list[str]) -> FileDescriptorProto:
    """The file of a declaration, which is written in that part of the .proto language that `PART` lists."""
    (package,) = re.findall(r"package ([\w.]+);", text)
    file = FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3", dependency=dependencies)
    inside: list[tuple[str, Any]] = [(f".{package}", file)]
    for part in PART.finditer(text):
        path, parent = inside[-1]
        if name := part["message"]:
            messages = parent.message_type if parent is file else parent.nested_type
            inside.append((f"{path}.{name}", messages.add(name=name)))
        elif part["end"]:
            inside.pop()
        elif part["map"]:
            entry = _entry(parent.nested_type.add(), part["map"], part["value"])
            _field(parent, part["map"], int(part["at"]), f"{path}.{entry}", repeated=True)
        else:
            _field(parent, part["name"], int(part["number"]), part["type"], bool(part["repeated"]))
    return file


def _entry(entry: DescriptorProto, name: str, value: str) -> str:
    """Fill the message that a map is a list of; return its name."""
    entry.name = f"{name.title().replace('_', '')}Entry"
    entry.options.map_entry = True
    _field(entry, "key", 1, "string")
    _field(entry, "value", 2, value)
    return entry.name


def _field(message: DescriptorProto, name: str, number: int, kind: str, repeated: bool = False) -> None:
    label = FieldDescriptorProto.LABEL_REPEATED if repeated else FieldDescriptorProto.LABEL_OPTIONAL
    field = message.field.add(name=name, number=number, label=label)
    if kind.startswith("."):
        field.type, field.type_name = FieldDescriptorProto.TYPE_MESSAGE, kind
    else:
        field.type = FieldDescriptorProto.Type.Value(f"TYPE_{kind.upper()}")


POOL = DescriptorPool()
for known in (any_pb2, wrappers_pb2):
    POOL.AddSerializedFile(known.DESCRIPTOR.serialized_pb)
for text, dependencies in (
    (TENSORFLOW, []),
    (SERVING, ["tensorflow.proto", any_pb2.DESCRIPTOR.name, wrappers_pb2.DESCRIPTOR.name]),
    (KSERVE, []),
):
    POOL.AddSerializedFile(declared(text, dependencies).SerializeToString())


def message(name: str) -> Any:
    """The class of a message by its full name.

    >>> message("inference.ModelReadyResponse")(ready=True).SerializeToString()
    b'\\x08\\x01'
    """
    return GetMessageClass(POOL.FindMessageTypeByName(name))
