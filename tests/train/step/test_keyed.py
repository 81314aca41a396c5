"""A replayed layer draws from its key, and from nothing else."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from train.step.keyed import DRAWS, keyed, replayed, stateful, traced

COUNT = 2000
GENERATOR = tf.random.Generator.from_seed(1)
ALPHA = [2.0, 50.0]
DRAWN = {
    "Multinomial": lambda: tf.random.categorical(tf.math.log([[0.25, 0.75]]), COUNT)[0],
    "RandomGamma": lambda: tf.random.gamma([COUNT], ALPHA),
    "RandomShuffle": lambda: tf.random.shuffle(tf.range(COUNT)),
    "RandomStandardNormal": lambda: tf.random.normal([COUNT]),
    "RandomUniform": lambda: tf.random.uniform([COUNT]),
    "RandomUniformInt": lambda: tf.random.uniform([COUNT], -2, 5, tf.int32),
    "RngReadAndSkip": lambda: GENERATOR.normal([COUNT]),
    "TruncatedNormal": lambda: tf.random.truncated_normal([COUNT], dtype=tf.float64),
}


class Drawn(keras.layers.Layer):
    """What a function draws, whatever the input."""

    def __init__(self, draw):
        super().__init__(dtype="float64")
        self.draw = draw

    def call(self, x):
        return tf.cast(self.draw(), tf.float64)


def drawn(draw, *key: int) -> np.ndarray:
    return keyed(Drawn(draw), tf.zeros(()), tf.constant(key)).numpy()


def test_every_operation_that_is_replaced_is_tried():
    assert DRAWN.keys() == DRAWS.keys()


@pytest.mark.parametrize("kind", DRAWS)
def test_a_draw_has_its_distribution_and_follows_from_the_key(kind):
    draw = DRAWN[kind]
    assert stateful(traced(Drawn(draw), tf.zeros(())).graph) == {kind}
    found, expected = drawn(draw, 3, 4), draw().numpy().astype("float64")
    assert found.shape == expected.shape
    np.testing.assert_array_equal(drawn(draw, 3, 4), found)
    assert (drawn(draw, 3, 5) != found).any() and (drawn(draw, 4, 4) != found).any()
    deviation = expected.std(0)
    np.testing.assert_array_less(abs(found.mean(0) - expected.mean(0)), 5 * deviation * (2 / COUNT) ** 0.5)
    np.testing.assert_allclose(found.std(0), deviation, rtol=0.15)


def test_integers_keep_their_bounds_and_a_shuffle_its_elements():
    assert set(drawn(DRAWN["RandomUniformInt"], 0, 0)) == set(range(-2, 5))
    assert sorted(drawn(DRAWN["RandomShuffle"], 0, 0)) == list(range(COUNT))


def one() -> tf.Tensor:
    return tf.random.uniform([]) + GENERATOR.uniform([])


def either() -> tf.Tensor:
    return tf.cond(tf.random.uniform([]) < 0.5, one, lambda: tf.switch_case(tf.constant(1), [one, one]))


def nested() -> tf.Tensor:
    return tf.map_fn(lambda _: tf.map_fn(lambda _: one(), tf.zeros(3)), tf.zeros(3))


class Called:
    """Two calls of one function."""

    def __init__(self):
        self.function = tf.function(one)

    def __call__(self) -> tf.Tensor:
        return tf.stack([self.function(), self.function()])


@pytest.mark.parametrize(
    ("draw", "count"),
    [
        (lambda: tf.stack([one(), one()]), 2),
        (Called(), 2),
        (lambda: tf.map_fn(lambda _: either(), tf.zeros(8)), 8),
        (lambda: tf.vectorized_map(lambda _: one(), tf.zeros(8)), 8),
        (lambda: tf.vectorized_map(lambda x: tf.random.gamma([], x), tf.fill([8], 2.0)), 8),
        (nested, 9),
    ],
    ids=["row", "calls", "loop", "vectorized", "vectorized gamma", "nested"],
)
def test_every_draw_and_every_turn_of_a_loop_has_a_key_of_its_own(draw, count):
    found = drawn(draw, 0, 1)
    assert len(set(found.ravel())) == found.size == count
    np.testing.assert_array_equal(drawn(draw, 0, 1), found)
    assert not np.isin(drawn(draw, 0, 2), found).any()


def test_generators_and_later_draws_of_the_process_stay_as_they_are():
    tf.random.set_seed(0)
    expected, state = tf.random.uniform([3]).numpy(), GENERATOR.state.numpy()
    tf.random.set_seed(0)
    drawn(nested, 0, 0)
    np.testing.assert_array_equal(tf.random.uniform([3]), expected)
    np.testing.assert_array_equal(GENERATOR.state, state)


def test_a_function_without_draws_is_replayed_to_the_bit():
    table = tf.Variable(tf.range(5.0))

    def mixed(x):
        grown = tf.while_loop(lambda i, _: i < 3, lambda i, y: (i + 1, y * 1.1), (0, x))[1]
        chosen = tf.map_fn(lambda y: tf.cond(y[0] > 2, lambda: tf.sqrt(y), lambda: -y), grown)
        tf.debugging.assert_greater(tf.reduce_max(x), 0.0)
        return chosen + table + tf.vectorized_map(tf.reduce_sum, x)[:, None]

    x = tf.constant(np.random.default_rng(0).normal(size=(4, 5)).astype("float32")) * 3
    function = tf.function(mixed).get_concrete_function(x)
    inputs = [x, *function.captured_inputs]
    again = tf.function(lambda: replayed(function.graph, inputs, tf.constant([0, 0]))[0])
    np.testing.assert_array_equal(again(), function(x))
    assert not stateful(function.graph)


def test_an_assertion_holds_in_a_replay():
    def refused():
        low = tf.random.uniform([])
        tf.debugging.assert_greater(low, 1.0, message="too low")
        return low

    with pytest.raises(tf.errors.InvalidArgumentError, match="too low"):
        drawn(refused, 0, 0)
