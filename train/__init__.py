"""The training program: from images to a served answer. `python -m train --help`.

How TensorFlow starts is said here, before anything imports it; what the environment already says stays.
"""

from __future__ import annotations

import os

# On processors without AVX512_VNNI and the like TensorFlow leaves these kernels out; with them training was 1.6 times
# as fast on one (README, Measured).
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # what TensorFlow says of drivers it did not find is no news
