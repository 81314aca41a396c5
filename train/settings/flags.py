"""The program's flags, in the order of the pipeline."""

from __future__ import annotations

from absl import flags

from ..cluster.strategy import STRATEGIES

FLAGS = flags.FLAGS


# --help shows them under these headings, each before its first flag
GROUPS = {
    "config": "Experiment",
    "dataset": "Data",
    "pad": "Augmentation",
    "model": "Network",
    "epochs": "Recipe",
    "resume": "Loop, faults, export",
    "output": "Places",
}


flags.DEFINE_string(
    "config",
    None,
    "An experiment of train/configs by name, or a .py file of yours like them: values for these flags. Flags that are "
    "given override it.",
)


flags.DEFINE_bool("smoke", False, "The experiment's smoke twin: the same in seconds, on tiny data.")


flags.DEFINE_string(
    "dataset",
    "digits",
    "What to train on: 'digits' (scikit-learn's handwritten digits), the name of a tensorflow-datasets image "
    "classification set ('cifar10'), a folder of images (train/<class>/*, test/<class>/*; JPEG or PNG), a folder of "
    "IDX files (train-images-idx3-ubyte, ...; .gz or not), or an .npz file with x_train, y_train, x_test, y_test.",
)


flags.DEFINE_string("data_dir", None, "Where tensorflow-datasets keeps its sets; its own default if not given.")


flags.DEFINE_integer(
    "image_size",
    None,
    "Resize the images of a folder or a tensorflow-datasets set to this height and width, in pixels.",
    lower_bound=1,
)


flags.DEFINE_list("class_names", None, "Names of the classes, in the order of the labels, separated by commas.")


flags.DEFINE_bool(
    "skip_bad_images",
    False,
    "Leave out images of a folder that cannot be read, instead of stopping; under --crop=resized all are decoded once "
    "at the start to find them.",
)


flags.DEFINE_enum(
    "test_view",
    None,
    ["paper", "central", "ten_crop"],
    "How an image of any size is looked at to test: the centre after its shorter side is 256, as the paper (default); "
    "7/8 of the central square; or the mean over ten crops. Sizes are for views of 224.",
)


flags.DEFINE_integer(
    "pad",
    None,
    "Pixels that a training image may be shifted by; by default 4, less for images smaller than 28 (1 at 8).",
)


flags.DEFINE_bool(
    "flip",
    None,
    "Mirror half of the training images; by default yes, unless the name speaks of digits or letters "
    "(digits, mnist, svhn, ...).",
)


flags.DEFINE_enum(
    "crop",
    "pad",
    ["pad", "resized"],
    "Training crops: windows of the padded image (see --pad), or windows of any size and shape, resized, which folders "
    "and tensorflow-datasets sets of images of any size may be trained on (to --image_size, by default 224).",
)


flags.DEFINE_float("crop_area", 0.08, "The least part of an image that a resized crop shows.", 0.0, 1.0)


flags.DEFINE_float("randaugment", 0.0, "RandAugment's magnitude, up to 30; 0 for none.", 0.0, 30.0)


flags.DEFINE_integer("randaugment_ops", 2, "RandAugment's operations an image.", lower_bound=1)


flags.DEFINE_float("erasing", 0.0, "How likely a rectangle of a training image is erased.", 0.0, 1.0)


flags.DEFINE_float("mixup", 0.0, "MixUp's alpha (0.2 on ImageNet); 0 for none.", lower_bound=0.0)


flags.DEFINE_float("cutmix", 0.0, "CutMix's alpha (1 in the paper); 0 for none.", lower_bound=0.0)


flags.DEFINE_float("label_smoothing", 0.0, "What the true class gives away to all, evenly.", 0.0, 1.0)


flags.DEFINE_string(
    "model",
    "PreActResNet",
    "The network's family (PreActResNet, ResNet, WideResNet, DenseNet, ...), or a network by name (resnet110_dropout).",
)


flags.DEFINE_integer(
    "depth",
    None,
    "The network's depth, in weight layers: 20, 56, 110, 164, ...; 18, 50, ...; by default 20 for PreActResNet and "
    "ResNet, else the family's own.",
)


flags.DEFINE_integer("width", None, "Multiplies the filters of every stage.", lower_bound=1)


flags.DEFINE_string("block", None, "The branch: basic, bottleneck, ...; by default the paper's for the depth.")


flags.DEFINE_string("order", None, "The order of norm, activation, weights (full_pre_act, post_act, ...).")


flags.DEFINE_string("shortcut", None, "The shortcut: zero_pad, projection, ...; by default the paper's.")


flags.DEFINE_string("merge", None, "How the paths meet: add, branch_only, exclusive_gating, ...")


flags.DEFINE_string("tail", None, "What ends the branch: residual_gate, stochastic_depth, squeeze_excite, ...")


flags.DEFINE_string("stem", None, "What precedes the first unit: cifar, imagenet, imagenet_3x3.")


flags.DEFINE_enum(
    "precision", "float32", ["float32", "mixed_bfloat16", "mixed_float16"], "Keras' dtype policy for the network."
)


flags.DEFINE_integer("epochs", None, "Epochs in all; by default 40 for digits, else 164 as in the authors' code.")


flags.DEFINE_integer(
    "batch_size",
    None,
    "Images a step, of all devices; by default 128 as in the paper, less for a small set: at least 16 steps an epoch.",
)


flags.DEFINE_float("learning_rate", 0.1, "The highest rate; --schedule says how it is reached and left.")


flags.DEFINE_enum(
    "schedule",
    "steps",
    ["steps", "cosine", "one_cycle"],
    "The rate over the run: the papers' warm-up and drops, a cosine after a linear warm-up, or Smith's 1cycle.",
)


flags.DEFINE_float(
    "warm_up",
    None,
    "The part of the run that warms up (0 for none); by default 1/160 at a tenth of the rate for steps, as in the "
    "paper, and 1/18 rising from zero for cosine.",
    lower_bound=0.0,
)


flags.DEFINE_list("drops", None, "Parts of the run after which steps lowers the rate tenfold; 0.5,0.75 by default.")


flags.DEFINE_float("momentum", 0.9, "Of SGD.", 0.0, 1.0)


flags.DEFINE_bool("nesterov", True, "Whether SGD's momentum looks ahead, as in the authors' code.")


flags.DEFINE_float("weight_decay", 1e-4, "Coupled, on all parameters but scalar gates.", lower_bound=0.0)


flags.DEFINE_float("clip_norm", None, "Gradients are scaled down to this global norm where theirs is larger.")


flags.DEFINE_integer("accumulate", 1, "Batches whose mean gradient makes one update.", lower_bound=1)


flags.DEFINE_float(
    "ema", None, "Average the weights with this decay, 0.999 say; the averages are tested beside them, and exported."
)


flags.DEFINE_integer("seed", 0, "Of weights, order and augmentation.", 0, 2**32 - 1)


flags.DEFINE_bool(
    "resume",
    False,
    "Go on from the run's last checkpoint, with the flags it was started with; those of places, below, are to be given "
    "again. With --run=NAME a run that was not begun yet begins, so that one command serves for both.",
)


flags.DEFINE_integer(
    "checkpoint_every", None, "Save every so many steps too, not after each epoch alone.", lower_bound=1
)


flags.DEFINE_integer("keep", 3, "How many of the newest checkpoints stay, beside the best.", lower_bound=1)


flags.DEFINE_enum(
    "on_nan",
    "stop",
    ["stop", "rollback", "skip"],
    "What becomes of a step whose loss or gradient is no number: the run stops, or goes back to the last checkpoint "
    "and on without that batch, or undoes that step alone (which keeps a copy of the state on the device).",
)


flags.DEFINE_bool(
    "export",
    True,
    "Export the trained network and check that what serves answers as it does; a run of --noexport is exported by "
    "--resume.",
)


flags.DEFINE_string("output", ".", "The folder that gets runs/<run>/ and saved_models/<run>/<version>/.")


flags.DEFINE_string("run", None, "The run's name; by default the dataset, family and depth, numbered if taken.")


flags.DEFINE_enum(
    "strategy",
    "auto",
    STRATEGIES,
    "Where to compute: one device; all GPUs of this machine; several machines, from TF_CONFIG or Slurm; a TPU. auto "
    "takes what is there and says what it took. --batch_size is shared by all.",
)


flags.DEFINE_string("tpu", "", "The TPU's name, or local; by default TPU_NAME, or local without it.")


flags.DEFINE_integer(
    "cpu_devices",
    1,
    "Splits the processor into so many devices, to try --strategy=mirrored without GPUs.",
    lower_bound=1,
)


flags.DEFINE_float(
    "startup_timeout",
    300.0,
    "Seconds to wait for all workers to appear, for the first step, and for a save.",
    lower_bound=1.0,
)


flags.DEFINE_float(
    "worker_timeout", 25.0, "Seconds that a step of several workers may take: after them one is stuck.", lower_bound=1.0
)


def defined() -> list[flags.Flag]:
    """The flags above, absl's own not among them, in their order."""
    return FLAGS.flags_by_module_dict()[__name__]
