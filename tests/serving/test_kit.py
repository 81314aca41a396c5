"""The files beside the versions that servers start from."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest
from google.protobuf import text_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

import keras_resunits as kr
from keras_resunits.serving.kit.templates import FLAGS
from keras_resunits.serving.versions import forget
from keras_resunits_client.messages import declared

CONFIGURATIONS = """
package tensorflow.serving;
message FileSystemStoragePathSourceConfig {
  message ServableVersionPolicy {
    message Latest { uint32 num_versions = 1; }
    .tensorflow.serving.FileSystemStoragePathSourceConfig.ServableVersionPolicy.Latest latest = 100;
  }
}
message ModelConfig {
  string name = 1;
  string base_path = 2;
  string model_platform = 4;
  .tensorflow.serving.FileSystemStoragePathSourceConfig.ServableVersionPolicy model_version_policy = 7;
  map<string, int64> version_labels = 8;
}
message ModelConfigList { repeated .tensorflow.serving.ModelConfig config = 1; }
message ModelServerConfig { .tensorflow.serving.ModelConfigList model_config_list = 1; }
message PrometheusConfig {
  bool enable = 1;
  string path = 2;
}
message MonitoringConfig { .tensorflow.serving.PrometheusConfig prometheus_config = 1; }
"""


def parsed(path, name: str):
    """A file as a message of `CONFIGURATIONS`; an unknown field is an error."""
    pool = DescriptorPool()
    pool.AddSerializedFile(declared(CONFIGURATIONS, []).SerializeToString())
    kind = GetMessageClass(pool.FindMessageTypeByName(f"tensorflow.serving.{name}"))
    return text_format.Parse(path.read_text(), kind())


@pytest.fixture(scope="module")
def kit(exported, tmp_path_factory):
    """The kit of a model with three versions, whose folder has signs that Kubernetes does not allow."""
    root = tmp_path_factory.mktemp("models") / "My_digits.v2"
    for version in ("8", "9", "10"):
        shutil.copytree(exported, root / version)
    return kr.serving_kit(root)


def test_the_two_newest_versions_are_labelled(kit):
    (config,) = parsed(kit / "models.config", "ModelServerConfig").model_config_list.config
    assert (config.name, config.base_path, config.model_platform) == (
        "My_digits.v2",
        "/models/My_digits.v2",
        "tensorflow",
    )
    assert config.model_version_policy.latest.num_versions == 2
    assert dict(config.version_labels) == {"stable": 9, "canary": 10}


@pytest.mark.peers
def test_tensorflow_serving_reads_the_models(kit):
    pytest.importorskip("tensorflow_serving.config", reason="tensorflow-serving-api is not installed")
    from tensorflow_serving.config import model_server_config_pb2

    theirs = text_format.Parse((kit / "models.config").read_text(), model_server_config_pb2.ModelServerConfig())
    assert theirs.SerializeToString(deterministic=True) == parsed(
        kit / "models.config", "ModelServerConfig"
    ).SerializeToString(deterministic=True)


def test_prometheus_scrapes_where_the_server_answers(kit):
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    monitoring = parsed(kit / "monitoring.config", "MonitoringConfig").prometheus_config
    (job,) = yaml.safe_load((kit / "prometheus.yml").read_text())["scrape_configs"]
    assert monitoring.enable and monitoring.path == job["metrics_path"]
    assert job["static_configs"] == [{"targets": ["serving:8501"]}]


def flags_of(arguments: list[str]) -> dict[str, str]:
    return dict(argument.removeprefix("--").split("=") for argument in arguments)


def require_flags(arguments: list[str], mount: str) -> None:
    """All flags are there, and the files that they name are those of the kit, where the folder is mounted."""
    flags = flags_of(arguments)
    assert flags.keys() == flags_of(list(FLAGS)).keys()
    files = {flag: path for flag, path in flags.items() if path.startswith("/")}
    assert files == {
        "model_config_file": f"{mount}/kit/models.config",
        "monitoring_config_file": f"{mount}/kit/monitoring.config",
    }


def test_docker_compose_mounts_what_the_configurations_name(kit):
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    services = yaml.safe_load((kit / "compose.yaml").read_text())["services"]
    source, mount, mode = services["serving"]["volumes"][0].split(":")
    assert ((kit / source).resolve(), mode) == (kit.parent, "ro")
    assert parsed(kit / "models.config", "ModelServerConfig").model_config_list.config[0].base_path == mount
    require_flags(services["serving"]["command"], mount)
    assert services["serving"]["ports"] == ["8500:8500", "8501:8501"]
    assert (kit / services["prometheus"]["volumes"][0].split(":")[0]).is_file()
    assert services["prometheus"]["depends_on"] == ["serving"]  # the host that it scrapes


def test_the_manifest_of_kubernetes_is_consistent(kit):
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    objects = {each["kind"]: each for each in yaml.safe_load_all((kit / "kubernetes.yaml").read_text())}
    deployment, service, scaler = (objects[kind] for kind in ("Deployment", "Service", "HorizontalPodAutoscaler"))
    assert {each["metadata"]["name"] for each in objects.values()} == {"my-digits-v2-7f33"}
    assert deployment["apiVersion"] == scaler["spec"]["scaleTargetRef"]["apiVersion"] == "apps/v1"
    assert scaler["spec"]["scaleTargetRef"]["name"] == "my-digits-v2-7f33"
    assert scaler["spec"]["metrics"][0]["resource"]["target"] == {"type": "Utilization", "averageUtilization": 70}
    pods = deployment["spec"]["template"]
    labels = pods["metadata"]["labels"]
    assert labels == deployment["spec"]["selector"]["matchLabels"] == service["spec"]["selector"]
    (container,) = pods["spec"]["containers"]
    (mounted,), (volume,) = container["volumeMounts"], pods["spec"]["volumes"]
    assert (
        mounted["name"] == volume["name"] and volume["persistentVolumeClaim"]["claimName"] == "my-digits-v2-7f33-models"
    )
    require_flags(container["args"], mounted["mountPath"])
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"grpc": 8500, "rest": 8501}
    assert {port["targetPort"]: port["port"] for port in service["spec"]["ports"]} == ports
    for probe in ("startupProbe", "readinessProbe"):
        assert container[probe]["httpGet"] == {"path": "/v1/models/My_digits.v2/metadata", "port": "rest"}
    assert container["livenessProbe"] == {"tcpSocket": {"port": "grpc"}}
    assert "cpu" in container["resources"]["requests"]  # else the autoscaler has nothing to compare with


@pytest.fixture(scope="module", params=["My_digits.v2", "2024-01-01", "1e5", "on", "null", "a" * 49 + "_b"])
def odd_kit(exported, tmp_path_factory, request):
    """The kit of a model whose name YAML could read as a number, a date or a truth value, or is long."""
    root = tmp_path_factory.mktemp("models") / request.param
    shutil.copytree(exported, root / "1")
    return kr.serving_kit(root)


@pytest.mark.peers
def test_kubernetes_allows_the_manifest(odd_kit):
    validator = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    for each in yaml.safe_load_all((odd_kit / "kubernetes.yaml").read_text()):
        validator.validate(each, validator.latest_version(), strict=True)
        # stricter than the schema: the name of a service is a label of DNS
        assert re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", each["metadata"]["name"])


@pytest.mark.peers
def test_docker_compose_allows_the_services(odd_kit):
    specification = pytest.importorskip("compose_spec", reason="compose-spec is not installed")
    compose = specification.PyCompose.from_yaml((odd_kit / "compose.yaml").read_text())
    assert compose.service_names() == ["serving", "prometheus"]
    # without a name, all kits are one project, and each replaces the other's containers
    assert compose.name in (odd_kit / "kubernetes.yaml").read_text()


@pytest.mark.peers
@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_prometheus_allows_its_configuration(odd_kit):
    check = ["promtool", "check", "config", str(odd_kit / "prometheus.yml")]
    done = subprocess.run(check, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_triton_forms_batches_up_to_the_largest_size(kit):
    assert sorted(os.listdir(kit / "triton")) == ["My_digits.v2", "My_digits.v2_serve_bytes"]
    assert sorted(os.listdir(kit / "triton" / "My_digits.v2")) == ["10", "config.pbtxt"]
    assert "max_batch_size: 32\n" in (kit / "triton" / "My_digits.v2" / "config.pbtxt").read_text()


def test_a_second_call_moves_the_labels_and_keeps_what_was_edited(exported, tmp_path):
    root = tmp_path / "digits"
    shutil.copytree(exported, root / "1")
    kit = kr.serving_kit(root)
    (config,) = parsed(kit / "models.config", "ModelServerConfig").model_config_list.config
    assert dict(config.version_labels) == {"stable": 1, "canary": 1}
    (kit / "compose.yaml").write_text("services: {}\n")
    shutil.copytree(exported, root / "2")
    shutil.copytree(exported, root / "3")
    forget(root, keep=2)
    assert kr.serving_kit(root) == kit
    (config,) = parsed(kit / "models.config", "ModelServerConfig").model_config_list.config
    assert dict(config.version_labels) == {"stable": 2, "canary": 3}
    assert (kit / "compose.yaml").read_text() == "services: {}\n"
    for model in ("digits", "digits_serve_bytes"):
        assert sorted(os.listdir(kit / "triton" / model)) == ["3", "config.pbtxt"]
    before = sorted(kit.rglob("*"))
    assert sorted(kr.serving_kit(root).rglob("*")) == before


def test_triton_gets_a_version_again_that_was_exported_again_or_added_in_part(exported, classifier, tmp_path):
    root = tmp_path / "digits"
    shutil.copytree(exported, root / "1")
    triton = kr.serving_kit(root) / "triton"
    shutil.rmtree(root / "1")
    kr.export_saved_model(classifier[0], root)  # with other names, so other answers
    kr.serving_kit(root)
    manifest = (root / "1" / "manifest.sha256").read_text()
    copies = [triton / model / "1" for model in ("digits", "digits_serve_bytes")]
    assert [(copy / "model.savedmodel" / "manifest.sha256").read_text() for copy in copies] == [manifest] * 2
    shutil.rmtree(copies[1])  # as after a kill between the two
    kr.serving_kit(root)
    assert (copies[1] / "model.py").is_file()


def test_a_name_of_many_letters_is_cut_for_kubernetes_and_a_version_without_metadata_is_batched(exported, tmp_path):
    root = tmp_path / f"{'a' * 49}_b"
    version = shutil.copytree(exported, root / "1")
    (version / "metadata.json").unlink()  # as earlier versions of this package exported
    kit = kr.serving_kit(root)
    (label,) = set(re.findall(r'app: "([\w-]+)"', (kit / "kubernetes.yaml").read_text()))
    assert re.fullmatch("a{44}-[0-9a-f]{4}", label)
    assert "max_batch_size: 64\n" in (kit / "triton" / root.name / "config.pbtxt").read_text()


@pytest.mark.parametrize(
    ("folder", "why"), [("absent", "must be a folder of versions"), ("my digits", "must end in a name of letters")]
)
def test_a_folder_without_versions_or_with_a_name_of_other_signs_is_refused(exported, folder, why, tmp_path):
    if folder != "absent":
        shutil.copytree(exported, tmp_path / folder / "1")
    with pytest.raises(ValueError, match=f"`path` {why}.* Received: {re.escape(str(tmp_path / folder))}"):
        kr.serving_kit(tmp_path / folder)
    assert not (tmp_path / folder / "kit").exists()
