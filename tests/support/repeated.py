"""`python -m tests.support.repeated NETWORK` prints how many different gradients a hundred equal steps have."""

import sys

import keras
import tensorflow as tf

import keras_resunits as kr


def projected() -> keras.Model:
    """Normalised before its convolutions, with projections where the shape changes."""
    recipe = kr.Recipe(kr.basic, kr.FullPreAct(), kr.projection)
    slots = kr.plan([kr.Stage(3, 8), kr.Stage(3, 16, strides=2)], in_filters=8, activated=True)
    return kr.network([(recipe, slot) for slot in slots], kr.Stem(8), kr.FullPreAct(), input_shape=(16, 16, 3))


def gated(merge: str) -> keras.Model:
    """Gates whose gradients are sums over all positions."""
    return kr.ResNet(depth=[2, 2, 2], input_shape=(16, 16, 3), merge=merge)


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    model = projected() if sys.argv[1] == "projection" else gated(sys.argv[1])
    images, kept = tf.random.stateless_normal((32, 16, 16, 3), (0, 1)), model.get_weights()

    @tf.function
    def gradient():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(images, training=True) ** 2)
        return tape.gradient(loss, [variable.value for variable in model.trainable_variables])

    found = set()
    for _ in range(100):
        model.set_weights(kept)  # the statistics move
        found.add(b"".join(each.numpy().tobytes() for each in gradient()))
    print(len(found))
