"""Merges: linear in both edges, which must have the same shape."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_resunits as kr
from tests.catalog import MERGES, SLOTS


def edges(seed):
    rng = np.random.default_rng(seed)
    return [rng.integers(-8, 9, (2, 4, 4, 8)).astype("float32") for _ in range(3)]  # small ints: sums are exact


@pytest.mark.parametrize("merge", MERGES)
def test_a_merge_is_linear_in_its_edges(merge):
    layer = MERGES[merge](SLOTS["same"])
    (c1, b1, z), (c2, b2, _) = edges(1), edges(2)
    together = layer(2 * c1 + 3 * c2, 2 * b1 + 3 * b2, z)
    np.testing.assert_allclose(together, 2 * layer(c1, b1, z) + 3 * layer(c2, b2, z), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    ("merge", "of_carry", "of_branch"),
    [
        (kr.Add(), 1, 1),
        (kr.BranchOnly(), 0, 1),
        (kr.Highway(keras.layers.Rescaling(0.0, offset=0.25)), 0.75, 0.25),
        (kr.ScalarHighway(kr.ScalarGate(initial=0.25)), 0.75, 0.25),
        (kr.ScalarHighway(kr.ScalarGate(initial=-3.0)), 1, 0),
    ],
)
def test_a_merge_has_the_coefficients_of_the_table(merge, of_carry, of_branch):
    carry, branch, z = edges(1)
    np.testing.assert_array_equal(merge(carry, branch, z), of_carry * carry + of_branch * branch)


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_an_open_gated_plain_layer_is_its_branch_bit_for_bit(dtype):
    merge = kr.ScalarHighway(kr.ScalarGate(dtype=dtype), dtype=dtype)
    carry, branch = np.array([[1e3] * 3, [7e-3] * 3], "float32"), np.full((2, 3), 1e-3, "float32")
    given = keras.ops.cast(branch, merge.compute_dtype)
    np.testing.assert_array_equal(merge(keras.ops.cast(carry, merge.compute_dtype), given, given), given)


def test_branch_only_ignores_the_carry_whatever_its_shape():
    _, branch, z = edges(1)
    merge = kr.BranchOnly()
    np.testing.assert_array_equal(merge(np.full((2, 9, 9, 3), np.nan, "float32"), branch, z), branch)


@pytest.mark.parametrize("shape", [(2, 4, 4, 1), (2, 1, 1, 8), (1, 4, 4, 8), (2, 2, 2, 8), (2, 4, 4, 16)])
def test_add_refuses_edges_that_keras_would_broadcast(shape):
    _, branch, z = edges(1)
    with pytest.raises(
        ValueError, match=r"`Add` requires a shortcut and a branch of the same shape.*branch \(2, 4, 4, 8\)"
    ):
        kr.Add(name="merge")(np.zeros(shape, "float32"), branch, z)


def test_the_gradient_of_a_plain_unit_does_not_pass_the_shortcut():
    carry, branch, z = map(tf.constant, edges(1))
    with tf.GradientTape() as tape:
        tape.watch([carry, branch])
        loss = tf.reduce_sum(kr.BranchOnly()(carry, branch, z))
    along_carry, along_branch = tape.gradient(loss, [carry, branch])
    assert along_carry is None
    np.testing.assert_array_equal(along_branch, np.ones_like(branch))


@pytest.mark.parametrize(
    ("merge", "widens", "drops_carry", "carries_at_first"),
    [
        (kr.Add(), False, False, True),
        (kr.BranchOnly(), False, True, False),
        (kr.Concat(), True, False, True),
        (kr.Highway(keras.layers.Rescaling(0.5)), False, False, True),
        (kr.ScalarHighway(kr.ScalarGate(initial=0.25)), False, False, True),
        (kr.ScalarHighway(kr.ScalarGate(initial=1.0)), False, False, False),
    ],
)
def test_a_merge_knows_what_becomes_of_its_edges(merge, widens, drops_carry, carries_at_first):
    carry, branch, z = edges(1)
    assert (merge.widens, merge.drops_carry) == (widens, drops_carry)
    found = np.asarray(merge(carry, branch, z))
    assert (found.shape[-1] > branch.shape[-1]) == widens
    assert merge.carries_at_first == carries_at_first == (found.shape != branch.shape or (found != branch).any())


def test_the_abstract_merge_cannot_be_instantiated():
    with pytest.raises(TypeError, match="abstract"):
        kr.Merge()


@pytest.mark.parametrize(
    "merge",
    [kr.Add(), kr.ScalarHighway(), kr.Highway(keras.layers.Rescaling(0.5))],
    ids=lambda merge: type(merge).__name__,
)
def test_edges_that_would_broadcast_are_refused_however_the_merge_was_built(merge):
    x = np.ones((2, 4, 4, 8), "float32")
    merge(x, x, x)
    with pytest.raises(ValueError, match=r"same shape\. Received: shortcut \(2, 4, 4, 8\), branch \(2, 1, 1, 8\)"):
        merge(x, x[:, :1, :1], x)


@pytest.mark.parametrize("filters", [4, 16])
def test_a_gate_of_another_shape_than_its_edges_is_refused(filters):
    merge = kr.Highway(keras.layers.Conv2D(filters, 1))
    with pytest.raises(ValueError, match=rf"a gate of the shape of its edges.* Received: gate .*{filters}\)"):
        merge.build(*[(None, 4, 4, 8)] * 3)
