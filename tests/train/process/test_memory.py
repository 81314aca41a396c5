"""A lack of device memory is reported in one line, and no other error is changed."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from train.process.errors import BadInput
from train.process.memory import memory_named

SMALLER = r"A smaller network \(--depth, --width\), batch \(--batch_size\) or image .*, or --remat=auto, needs less\.$"


@tf.function
def too_large(x):
    return tf.reduce_sum(x[:, None, None] * x[None, :, None] * x[None, None, :4096])


@pytest.mark.slow
def test_a_traced_step_that_does_not_fit_is_named_with_its_tensor():
    line = rf"CPU:0 has no room for float of shape \[32768,32768,4096\]\. {SMALLER}"
    with pytest.raises(BadInput, match=line), memory_named():
        too_large(tf.ones([2**15]))


def test_an_array_that_does_not_fit_is_named():
    with pytest.raises(BadInput, match=rf"^out of memory: in a step of the network\. {SMALLER}"), memory_named():
        np.zeros([2**15, 2**15, 2**12])


@pytest.mark.parametrize(
    "error",
    [
        tf.errors.AbortedError(
            None,
            None,
            "Operation received an exception:Status: 1, message: could not create a memory object, in file "
            "tensorflow/core/kernels/mkl/mkl_conv_grad_input_ops.cc:517",  # as seen on a CPU, with oneDNN
        ),
        tf.errors.ResourceExhaustedError(None, None, "failed to allocate memory [Op:Mul]"),
        tf.errors.ResourceExhaustedError(None, None, "Out of memory while trying to allocate 1234 bytes."),
    ],
)
def test_other_texts_of_the_same_error_are_recognised(error):
    with pytest.raises(BadInput, match=SMALLER), memory_named():
        raise error


def test_other_errors_pass():
    with pytest.raises(tf.errors.InvalidArgumentError), memory_named():
        tf.reshape(tf.zeros([2]), [3])
    with pytest.raises(tf.errors.ResourceExhaustedError, match="No space left"), memory_named():
        tf.io.write_file("/dev/full", "a" * 2**20)
