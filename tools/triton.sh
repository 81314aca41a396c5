#!/usr/bin/env bash
# A real Triton server for the tests, on CPUs: PyPI's nvidia-pytriton carries it, and requires NumPy below version 2.
# It therefore lives in an environment of its own:
#   tools/triton.sh FOLDER && KERAS_RESUNITS_TRITON=FOLDER python -m pytest -m peers tests/serving/test_triton.py
set -euo pipefail
folder=${1:?"usage: tools/triton.sh FOLDER"}
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet 'numpy<2' 'tensorflow>=2.20' 'nvidia-pytriton==0.7.0'
