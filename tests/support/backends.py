"""Python in a process of its own, with Keras on another backend."""

import os
import subprocess
import sys

from tests.support.paths import python_path

# compiling takes longer than running here
LITTLE_COMPILED = {
    "JAX_PLATFORMS": "cpu",
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    "XLA_FLAGS": "--xla_cpu_parallel_codegen_split_count=1 --xla_llvm_disable_expensive_passes=true",
}


def under(backend: str, *arguments: object) -> subprocess.CompletedProcess:
    """Run `python ARGUMENTS...` under `backend`; it must succeed."""
    environment = {**os.environ, **LITTLE_COMPILED, "KERAS_BACKEND": backend, "PYTHONPATH": python_path()}
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stderr[-4000:]
    return done
