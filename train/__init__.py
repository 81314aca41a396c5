"""The training program: from images to a served answer. `python -m train --help`.

How TensorFlow starts is said here, before anything imports it; what the environment already says stays.
"""

import os

# On processors without AVX-512 TensorFlow leaves these kernels out, and trains 1.6 times slower (README, Measured).
# With them everywhere, workers on unlike machines also compute by the same ones.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # what TensorFlow says of drivers it did not find is no news
