"""Law: a `tf.train.Checkpoint` holds every weight, and a `.weights.h5` file too."""

import numpy as np
import tensorflow as tf

from tests.catalog import LAYERS, NETWORKS, PAIRS, STEMS, over


def fresh(case):
    layer = case.make()
    layer(*case.arrays())
    return layer


@over(LAYERS, STEMS, PAIRS, NETWORKS)
def test_a_checkpoint_holds_every_weight(case, tmp_path):
    saved, restored = case.layer(), fresh(case)
    path = tf.train.Checkpoint(layer=saved).write(str(tmp_path / "checkpoint"))
    tf.train.Checkpoint(layer=restored).read(path).assert_existing_objects_matched()
    for found, wanted in zip(restored.get_weights(), saved.get_weights(), strict=True):
        np.testing.assert_array_equal(found, wanted)


@over(NETWORKS)
def test_a_file_of_weights_holds_every_weight(case, tmp_path):
    saved, restored = case.layer(), fresh(case)
    saved.save_weights(tmp_path / "network.weights.h5")
    restored.load_weights(tmp_path / "network.weights.h5")
    for found, wanted in zip(restored.get_weights(), saved.get_weights(), strict=True):
        np.testing.assert_array_equal(found, wanted)
