"""Small networks with stages of any length, with random weights."""

import keras

import keras_resunits as kr
from tests.catalog import randomize


def net(*counts: int, order=None, body=kr.single, filters=8, classes=5, moved=True, name=None, top=None, **choices):
    """A network of `counts` units in each stage, of 8x8 images; by default pre-activated, with moved statistics."""
    keras.utils.set_random_seed(0)
    order = order or kr.FullPreAct()
    stages = [kr.Stage(count, filters * 2**i, strides=1 + (i > 0)) for i, count in enumerate(counts)]
    recipe = kr.Recipe(body, order, **{"shortcut": kr.zero_pad, **choices})
    slots = kr.plan(stages, filters, activated=not order.raw_stem)
    stem = kr.Stem(filters, activated=not order.raw_stem)
    model = kr.network(
        [(recipe, slot) for slot in slots],
        stem,
        order,
        **{"input_shape": (8, 8, 3), "classes": classes, "name": name, **(top or {})},
    )
    if moved:
        randomize(model)
    return model
