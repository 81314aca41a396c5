"""The plan for ImageNet: messages that are those of the graph, the model by hand, the fit, the page."""

from __future__ import annotations

from dataclasses import replace

import keras
import pytest
import tensorflow as tf

import keras_resunits as kr
from benchmarks.planning import decoding, fitting, messages, tables
from benchmarks.planning.fitting import Constants, Measured
from benchmarks.planning.step import Cluster, predicted
from train.step.network import synchronize
from train.step.trainer import Trainer

CLUSTER = Cluster(accelerators=2, cores=3, images=100.0, inside=2.0, between=8.0, hop=10.0, decode=50.0)


@pytest.mark.parametrize("statistics", tables.KINDS)
def test_the_derived_messages_are_those_of_the_steps_graph(two_devices, statistics):
    with two_devices.scope():
        model = kr.PreActResNet(8)
        if statistics == "synchronized":
            synchronize(model)
        trainer = Trainer(model, keras.layers.Rescaling(1 / 255), kr.CoupledSGD(0.1))
        batch = tf.zeros([2, 32, 32, 3], tf.uint8), tf.zeros([2], tf.int64)
        shares = two_devices.distribute_datasets_from_function(lambda _: tf.data.Dataset.from_tensors(batch).repeat())
        graph = trainer.train_step.get_concrete_function(*next(iter(shares)), tf.constant(0.0)).graph
    counted = messages.counted(graph)
    assert counted[::2] == counted[1::2]  # both devices' steps are in one graph
    # the sums of loss and answers are added on one of two devices of a machine, and are a message among machines
    assert sorted([*counted[::2], messages.SUMS]) == sorted(messages.of_network(model, 2, statistics))


def test_resnet50_sends_two_messages_a_norm_and_all_parameters():
    model = kr.create("resnet50")
    assert len(messages.norms(model)) == 53 and sum(messages.norms(model)) == 26_560
    assert messages.of_network(model, 64, "local") == [4 * 25_557_032, 16]
    shared = messages.of_network(model, 64, "synchronized")
    assert len(shared) == 2 * 53 + 2
    assert sum(shared) == 4 * (64 * (2 * 26_560 + 53) + 2 * 26_560 + 25_557_032) + 16


def test_a_step_within_one_host():
    one = predicted([1000, 3000], devices=2, batch=20, cluster=CLUSTER)
    assert one.compute == pytest.approx(0.2)
    assert one.exchange == pytest.approx(2 * 2 * 10e-6 + 4000 * 1.0 / 2e9)
    assert one.input == pytest.approx(20 * 2 / (3 * 50))
    assert one.seconds == one.input > one.fed


def test_a_step_of_four_hosts_is_also_sent_between_them():
    one = predicted([1000, 3000], devices=8, batch=20, cluster=replace(CLUSTER, cores=30))
    assert one.exchange == pytest.approx(2 * 6 * 10e-6 + 4000 * (1.0 / 2e9 + 1.5 / 1e9))
    assert one.seconds == one.fed > one.input
    assert one.efficiency == pytest.approx(0.2 / (0.2 + one.exchange))


def test_one_accelerator_exchanges_nothing():
    assert predicted([1000], devices=1, batch=20, cluster=CLUSTER).exchange == 0.0


def test_a_host_that_is_not_full_is_refused():
    with pytest.raises(ValueError, match="3 accelerators do not fill hosts of 2"):
        predicted([1000], devices=3, batch=20, cluster=CLUSTER)


TRUE = Constants(compute=0.1, hop=0.002, byte=1e-8)


def measured(constants, sizes=(1, 2, 3, 4)):
    """Rows as if the model were true."""
    rows = []
    for workers in sizes:
        for kind, number, size in (("synchronized", 40, 1_100_000), ("local", 2, 1_080_000)):
            row = Measured(kind, workers, 2, number, size, 20, 0.0)
            rows.append(replace(row, seconds=constants.seconds(row.terms)))
    return rows


@pytest.mark.parametrize("constants", [TRUE, replace(TRUE, byte=0.0), replace(TRUE, hop=0.0)], ids=str)
def test_the_fit_finds_the_constants_of_steps_that_follow_the_model(constants):
    found = fitting.fitted(measured(constants))
    assert found.compute == pytest.approx(constants.compute)
    assert found.hop == pytest.approx(constants.hop, abs=1e-9)
    assert found.byte == pytest.approx(constants.byte, abs=1e-15)


def test_a_size_that_is_left_out_has_no_part_in_its_prediction():
    rows = measured(TRUE, (1, 2, 3)) + [replace(row, seconds=9.0) for row in measured(TRUE, (4,))]
    assert fitting.without(rows, 4).hop == pytest.approx(TRUE.hop)
    assert fitting.fitted(rows).hop != pytest.approx(TRUE.hop, rel=0.05)


def test_rows_are_the_medians_of_the_rounds(tmp_path):
    path = tmp_path / "rows.csv"
    head = "workers,statistics,cores,depth,batch,compute,at_hand,fed,messages,bytes\n"
    one, two = "1,none,2,20,64,0.1,0.1,0.3,0,0\n", "2,local,2,20,64,0.1,{},0.3,2,1000\n"
    path.write_text(head + one + "".join(two.format(seconds) for seconds in (0.5, 0.2, 0.3)))
    assert fitting.read(str(path)) == [
        Measured("none", 1, 2, 0, 0, 20, 0.1),
        Measured("local", 2, 2, 2, 1000, 20, 0.3),
    ]
    path.write_text(head + one)
    with pytest.raises(ValueError, match="several numbers of workers; it has 1 only"):
        fitting.read(str(path))


def test_rates_of_decoding_are_those_of_training_images_a_core(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "| CIFAR | pad, crop, flip | 301,871 | 154,112 | 107 |\n"
        "| ImageNet | test view: paper | 586 | 327 | 14 |\n"
        "| ImageNet | resized crop, flip | 614 | 1,338 | 14 |\n"
    )
    assert decoding.rates(str(page)) == {"resized crop, flip": 1338.0}
