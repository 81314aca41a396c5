"""Files for servers, as templates: `$name` is the model, `$label` the same as Kubernetes allows it.

Both are quoted in YAML, which reads `2024` or `on` as no string.
"""

from __future__ import annotations

FLAGS = (
    "--model_config_file=/models/$name/kit/models.config",
    "--model_config_file_poll_wait_seconds=60",
    "--allow_version_labels_for_unavailable_models=true",
    "--monitoring_config_file=/models/$name/kit/monitoring.config",
    "--enable_batching=true",
    "--enable_per_model_batching_parameters=true",
)
"""TensorFlow Serving's, beside those of its image: the ports 8500 (gRPC) and 8501 (REST)."""

MODELS = """\
# Written again by each `keras-resunits-export --kit`: the labels follow the versions.
model_config_list {
  config {
    name: "$name"
    base_path: "/models/$name"
    model_platform: "tensorflow"
    model_version_policy { latest { num_versions: 2 } }
    version_labels { key: "stable" value: $stable }
    version_labels { key: "canary" value: $canary }
  }
}
"""

MONITORING = """\
prometheus_config {
  enable: true
  path: "/monitoring/prometheus/metrics"
}
"""

PROMETHEUS = """\
scrape_configs:
  - job_name: "$name"
    scrape_interval: 15s
    metrics_path: /monitoring/prometheus/metrics
    static_configs:
      - targets: ["serving:8501"]
"""

COMPOSE = """\
# docker compose -f kit/compose.yaml up
name: "$label"
services:
  serving:
    image: tensorflow/serving:latest
    command:
$flags
    ports: ["8500:8500", "8501:8501"]
    volumes: ["..:/models/$name:ro"]
    healthcheck:
      test: ["CMD", "bash", "-c", "</dev/tcp/127.0.0.1/8501"]
      interval: 10s
    restart: unless-stopped
  prometheus:
    image: prom/prometheus:latest
    ports: ["9090:9090"]
    volumes: ["./prometheus.yml:/etc/prometheus/prometheus.yml:ro"]
    depends_on: [serving]
"""

KUBERNETES = """\
# kubectl apply -f kit/kubernetes.yaml, after copying this model's folder to the volume of the claim $label-models.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: "$label"
  labels: {app: "$label"}
spec:
  selector:
    matchLabels: {app: "$label"}
  template:
    metadata:
      labels: {app: "$label"}
      annotations:
        prometheus.io/scrape: "true"
        prometheus.io/port: "8501"
        prometheus.io/path: /monitoring/prometheus/metrics
    spec:
      containers:
        - name: serving
          image: tensorflow/serving:latest
          args:
$flags
          ports:
            - {name: grpc, containerPort: 8500}
            - {name: rest, containerPort: 8501}
          resources:
            requests: {cpu: "1", memory: 1Gi}
            limits: {memory: 2Gi}
          # answered once a version is loaded and warmed up
          startupProbe:
            httpGet: {path: /v1/models/$name/metadata, port: rest}
            periodSeconds: 5
            failureThreshold: 60
          readinessProbe:
            httpGet: {path: /v1/models/$name/metadata, port: rest}
          livenessProbe:
            tcpSocket: {port: grpc}
          volumeMounts:
            - {name: models, mountPath: /models/$name, readOnly: true}
      volumes:
        - name: models
          persistentVolumeClaim: {claimName: $label-models, readOnly: true}
---
apiVersion: v1
kind: Service
metadata:
  name: "$label"
spec:
  selector: {app: "$label"}
  ports:
    - {name: grpc, port: 8500, targetPort: grpc}
    - {name: rest, port: 8501, targetPort: rest}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: "$label"
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: "$label"}
  minReplicas: 2
  maxReplicas: 10
  metrics:
    - type: Resource
      resource:
        name: cpu
        target: {type: Utilization, averageUtilization: 70}
"""
