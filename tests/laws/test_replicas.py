"""Law: two replicas train as one does if batch normalisation is synchronised."""

from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_resunits as kr
from tests.catalog import CLASSES, IMAGES, OPTIMIZERS, ORDERS, long_but, of_order

BATCH = 8
STEPS = 2  # the second step uses the momentum of the first


def synchronized(order):
    norm = partial(kr.BatchNormalization, synchronized=True)
    return of_order(type(order)(norm=norm))


def trained(strategy, make, optimizer, start=None):
    """`(weights before, weights after)` a few steps of classification under `strategy`."""
    rng = np.random.default_rng(0)
    images = rng.normal(size=(STEPS, BATCH, *IMAGES)).astype("float32")
    labels = rng.integers(0, CLASSES, (STEPS, BATCH))
    with strategy.scope():
        model, optimizer = make(), optimizer()
        optimizer.build(model.trainable_variables)
    if start is not None:
        model.set_weights(start)
    before = model.get_weights()

    def step(x, y):
        with tf.GradientTape() as tape:
            losses = keras.losses.sparse_categorical_crossentropy(y, model(x, training=True), from_logits=True)
            loss = tf.reduce_sum(losses) / BATCH
        optimizer.apply(tape.gradient(loss, [v.value for v in model.trainable_variables]), model.trainable_variables)

    run = tf.function(lambda x, y: strategy.run(step, (x, y)))
    share = BATCH // strategy.num_replicas_in_sync

    def part(arrays):
        return strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(arrays[share * context.replica_id_in_sync_group :][:share])
        )

    for x, y in zip(images, labels, strict=True):
        run(part(x), part(y))
    return before, model.get_weights()


def assert_two_replicas_train_as_one(two_devices, make, optimizer):
    before, one = trained(tf.distribute.get_strategy(), make, optimizer)
    _, two = trained(two_devices, make, optimizer, start=before)
    assert not any(np.array_equal(a, b) for a, b in zip(before, one, strict=True)), "every weight learns"
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-5)


PAPERS = ("PostAct", "FullPreAct")  # the others take equally long and share their parts


@pytest.mark.parametrize("order", long_but(PAPERS, ORDERS))
def test_two_replicas_train_every_order_as_one_does(order, two_devices):
    assert_two_replicas_train_as_one(two_devices, synchronized(order), lambda: keras.optimizers.SGD(0.1))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_two_replicas_train_with_every_optimizer_as_one_does(optimizer, two_devices):
    assert_two_replicas_train_as_one(two_devices, synchronized(kr.FullPreAct()), OPTIMIZERS[optimizer])


def test_without_synchronisation_two_replicas_train_differently(two_devices):
    make = of_order(kr.FullPreAct())
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        assert_two_replicas_train_as_one(two_devices, make, lambda: keras.optimizers.SGD(0.1))


@pytest.mark.slow
def test_two_replicas_in_mixed_precision_recompute_to_the_same_bits(two_devices):
    def make(remat):
        norm = partial(kr.BatchNormalization, synchronized=True)
        return kr.PreActResNet([1, 1, 1], IMAGES, CLASSES, order=kr.FullPreAct(norm=norm), remat=remat)

    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        start, kept = trained(two_devices, partial(make, None), lambda: keras.optimizers.SGD(0.1))
        _, again = trained(two_devices, partial(make, "auto"), lambda: keras.optimizers.SGD(0.1), start=start)
    finally:
        keras.config.set_dtype_policy("float32")
    for a, b in zip(kept, again, strict=True):
        np.testing.assert_array_equal(b, a)
