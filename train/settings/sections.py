"""The options of a run, as frozen records. Only this file defines each option's default, help and bounds.

`flags` makes the command line and its help from them, and `config` the file saved with the run. Other folders take the
record that they need. `None` stands for a default that depends on the data or on the network.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ..process.errors import BadInput
from .options import Needs, Section, option


@dataclass(frozen=True)
class Source(Section):
    """The images to train and test on."""

    title = "Data"

    dataset: str = option(
        "digits",
        "What to train on: 'digits' (scikit-learn's handwritten digits), the name of a tensorflow-datasets image "
        "classification set ('cifar10'), a folder of images (train/<class>/*, with val/, test/ or both; or <class>/* "
        "with --validation; or any with --labels), a folder of IDX files (train-images-idx3-ubyte, ...; .gz or not), "
        "or an .npz file with x_train, y_train, x_test and y_test.",
    )
    labels: str | None = option(
        None, "A table (csv) with a column of file names or ids and a column of labels, for the images in --dataset."
    )
    image_column: str | None = option(
        None, "The column of --labels with file names or ids; by default the one that names files.", Needs("labels")
    )
    label_column: str | None = option(
        None, "The column of --labels with labels; by default the one called so, or the only other.", Needs("labels")
    )
    validation: float | None = option(
        None,
        "Hold out this part of each class's training images for validation, by a hash of the seed and the file's name: "
        "0.2 for a fifth.",
        least=0,
        below=1,
    )
    fold: str | None = option(
        None, "Hold out one of so many folds for validation: 2/5 for the second of five. Instead of --validation."
    )
    data_dir: str | None = option(None, "The folder of tensorflow-datasets' data; by default its own.")
    image_size: int | None = option(
        None,
        "Resize the images of a folder or a tensorflow-datasets set to this height and width, in pixels.",
        least=1,
        most=65_535,  # JPEG's largest
    )
    class_names: list[str] | None = option(
        None,
        "Names of the classes, in the order of the labels, separated by commas. For a folder: the names of its "
        "classes, which are numbered in this order.",
    )
    skip_bad_images: bool = option(
        False,
        "Skip images of a folder that cannot be read, or that --labels has and the folder lacks, or the reverse, "
        "instead of stopping; with --crop=resized all images are decoded once at the start to find them.",
    )
    test_view: str | None = option(
        None,
        "The test view of an image of any size: the centre after its shorter side is resized to 256, as in the paper "
        "(default); 7/8 of the central square; or the mean over ten crops. Sizes are for views of 224.",
        choices=("paper", "central", "ten_crop"),
    )


@dataclass(frozen=True)
class Augmenting(Section):
    """The augmentation of training images."""

    title = "Augmentation"

    pad: int | None = option(
        None,
        "Pixels by which a training image may be shifted; by default 4, less for images smaller than 28 (1 at 8).",
        needs=Needs("crop", ("pad",)),
        least=0,
    )
    padding: str | None = option(
        None,
        "What surrounds the image where it is shifted: the mean colour, as in He et al.'s code (default), or its "
        "reflection, as in Zagoruyko and Komodakis' code.",
        needs=Needs("crop", ("pad",)),
        choices=("mean", "reflect"),
    )
    flip: bool | None = option(
        None,
        "Mirror half of the training images; by default yes, unless the data set's name contains digit, mnist, svhn or "
        "omniglot, and not fashion.",
    )
    crop: str = option(
        "pad",
        "Training crops: windows of the padded image (see --pad), or windows of any size and shape, resized. The "
        "second trains on folders and tensorflow-datasets sets of images of any size (--image_size, 224 by default).",
        choices=("pad", "resized"),
    )
    crop_area: float = option(
        0.08,
        "The smallest part of an image that a resized crop shows.",
        needs=Needs("crop", ("resized",)),
        above=0,
        most=1,
    )
    randaugment: float = option(0.0, "RandAugment's magnitude, up to 30; 0 for none.", least=0, most=30)
    randaugment_ops: int = option(
        2,
        "RandAugment's operations per image.",
        needs=Needs("randaugment"),
        least=1,
        most=14,  # as many as there are
    )
    augment: list[str] | None = option(
        None,
        "Layers that augment whole batches on the device, separated by commas: keras:RandAugment, FILE.py:NAME of a "
        "layer or of a function that makes one or several.",
        objects=True,
        unnamed=True,
    )
    erasing: float = option(0.0, "Probability of erasing a rectangle of a training image.", least=0, most=1)
    mixup: float = option(0.0, "MixUp's alpha (0.2 on ImageNet); 0 for none.", least=0)
    cutmix: float = option(0.0, "CutMix's alpha (1 in the paper); 0 for none.", least=0)
    label_smoothing: float = option(
        0.0, "The share of the true class's probability that is spread over all classes.", least=0, most=1
    )

    @property
    def streamed(self) -> bool:
        """Whether crops are of images at their full size, which stay encoded until they are needed."""
        return self.crop == "resized"


DEEPEST = 10_000
"""The depth of the deepest published networks (Xiao et al. 2018, arXiv 1806.05393); He et al. go to 1,202."""


@dataclass(frozen=True)
class Network(Section):
    """The network and its precision."""

    title = "Network"

    initial_model: str | None = option(
        None,
        "What to begin from: a .keras file, with its architecture and weights; a trained network of the library "
        "(preactresnet20:fashion-mnist); or NETWORK:WEIGHTS, a network by name and a PyTorch checkpoint or a file of "
        "Keras weights (torchvision_resnet50:resnet50.pth), or the weights of keras.applications "
        "(keras_resnet50:imagenet). The head is replaced where the number of classes differs. The flags below that "
        "describe a network are then refused. The run keeps a copy.",
    )
    initial_pixels: str | None = option(
        None,
        "What normalised the pixels that the WEIGHTS of NETWORK:WEIGHTS were trained with: imagenet, cifar10, caffe, "
        "MEAN/DEVIATION of pixels scaled to 0..1 (0.5,0.5,0.5/0.25,0.25,0.25), or data for the training images'; by "
        "default what NETWORK's library publishes.",
        needs=Needs("initial_model"),
    )
    model: str | None = option(
        "PreActResNet",
        "The network's family (PreActResNet, ResNet, WideResNet, DenseNet, ...), a network by name "
        "(resnet110_dropout), or FILE.py:NAME of a function (input_shape, classes) -> model.",
        objects=True,
    )
    depth: int | None = option(
        None,
        "The network's depth in weight layers: 20, 56, 110, 164, ...; 18, 50, ...; by default 20 for PreActResNet and "
        "ResNet, else the family's own.",
        most=DEEPEST,
    )
    width: int | None = option(None, "Factor for the number of filters in every stage.", least=1, most=100_000)
    block: str | None = option(
        None, "The branch: basic, bottleneck, ..., or FILE.py:NAME; by default the paper's for the depth.", objects=True
    )
    order: str | None = option(
        None, "The order of norm, activation and weights (full_pre_act, post_act, ...), or FILE.py:NAME.", objects=True
    )
    shortcut: str | None = option(
        None,
        "The shortcut: zero_pad, projection, ..., or FILE.py:NAME; by default the paper's.",
        needs=Needs("merge", excluded=("branch_only",)),
        objects=True,
    )
    merge: str | None = option(
        None,
        "How branch and shortcut are combined: add, branch_only, exclusive_gating, ..., or FILE.py:NAME.",
        objects=True,
    )
    tail: str | None = option(
        None,
        "What ends the branch: residual_gate, stochastic_depth, squeeze_excite, ..., or FILE.py:NAME.",
        objects=True,
    )
    stem: str | None = option(
        None, "The layers before the first unit: cifar, imagenet, imagenet_3x3, or FILE.py:NAME.", objects=True
    )
    precision: str = option(
        "float32", "Keras' dtype policy for the network.", choices=("float32", "mixed_bfloat16", "mixed_float16")
    )

    @property
    def choices(self) -> dict[str, Any]:
        """The choices that are set; the family's defaults apply to the others."""
        made = {each.name: getattr(self, each.name) for each in fields(self)}
        other = ("initial_model", "initial_pixels", "model", "precision")
        return {name: value for name, value in made.items() if value is not None and name not in other}


OF_PAPERS = Needs("optimizer", ("sgd", "nadam"))  # another optimiser states these itself


@dataclass(frozen=True)
class Recipe(Section):
    """The training recipe."""

    title = "Recipe"

    epochs: int = option(
        None,
        "Total number of epochs; by default 40 for digits, else 164 as in the authors' code.",
        least=1,
        most=1_000_000,
    )
    batch_size: int | None = option(
        None,
        "Images per step, over all devices; by default 128 as in the paper, less for a small set, so that an epoch has "
        "at least 16 steps.",
        least=1,
    )
    sizes: list[int] | None = option(
        None,
        "Train on smaller images first: sizes of their shorter side, each for an equal part of the run, separated by "
        "commas (16,24,32 for images of 32). Tests and the export have the full size.",
        least=1,
    )
    learning_rate: float = option(0.1, "The highest rate; --schedule determines how it rises and falls.", above=0)
    schedule: str = option(
        "steps",
        "The rate over the run: the papers' warm-up and drops, a cosine after a linear warm-up, or Smith's 1cycle. Or "
        "FILE.py:NAME of a function (learning_rate, updates) -> Keras schedule, such as keras:CosineDecay.",
        choices=("steps", "cosine", "one_cycle"),
        objects=True,
    )
    warm_up: float | None = option(
        None,
        "Fraction of the run for the warm-up (0 for none); by default 1/160 at a tenth of the rate for steps, as in "
        "the paper, and 1/18 rising from zero for cosine.",
        needs=Needs("schedule", ("steps", "cosine")),
        least=0,
    )
    drops: list[float] | None = option(
        None,
        "Fractions of the run after which the rate is multiplied by --drop_factor; 0.5,0.75 by default.",
        needs=Needs("schedule", ("steps",)),
    )
    drop_factor: float | None = option(
        None,
        "The factor of the rate at each of --drops; 0.1 by default (0.2 for wide networks in their paper).",
        needs=Needs("schedule", ("steps",)),
        above=0,
        below=1,
    )
    optimizer: str | None = option(
        None,
        "The optimiser: SGD (default), or Nadam (Savarese et al. 2016 on MNIST, at a rate of 0.002). Or one of Keras' "
        "own, such as keras:AdamW, or FILE.py:NAME of a function (learning_rate) -> Keras optimiser.",
        choices=("sgd", "nadam"),
        objects=True,
    )
    loss: str | None = option(
        None,
        "FILE.py:NAME of a function (labels, logits) -> [batch], or of a Keras loss; by default the cross-entropy.",
        objects=True,
        unnamed=True,
    )
    callbacks: list[str] | None = option(
        None,
        "Keras callbacks, separated by commas: FILE.py:NAME, or keras:TerminateOnNaN.",
        objects=True,
        unnamed=True,
    )
    momentum: float = option(0.9, "SGD's momentum, or Nadam's first decay rate.", needs=OF_PAPERS, least=0, most=1)
    nesterov: bool = option(True, "Nesterov momentum, as in the authors' code.", needs=Needs("optimizer", ("sgd",)))
    weight_decay: float = option(
        1e-4, "Coupled weight decay, on all parameters except scalar gates.", needs=OF_PAPERS, least=0
    )
    clip_norm: float | None = option(
        None, "Scale gradients with a larger global norm down to this norm.", needs=OF_PAPERS, above=0
    )
    accumulate: int = option(1, "Number of batches whose mean gradient makes one update.", needs=OF_PAPERS, least=1)
    ema: float | None = option(
        None,
        "Average the weights with this decay, such as 0.999; the averages are tested like the weights, and exported.",
        above=0,
        below=1,
    )
    patience: int | None = option(
        None,
        "End the run after this many epochs without a better accuracy on the validation images, or on the test images "
        "where there are none.",
        least=1,
    )
    freeze: list[str] | None = option(
        None,
        "Parts that are not trained, separated by commas: units, layers or weights by path, with * and ? "
        "(stem,unit00*). Whole norms keep their moving statistics.",
    )
    rates: list[str] | None = option(
        None,
        "Factors of the learning rate by part, as for --freeze, separated by commas: stem=0.1,unit*=0.5. The last one "
        "that fits a weight counts.",
        needs=OF_PAPERS,
    )
    class_weights: list[str] | None = option(
        None,
        "Factors of the training loss by class: balanced, in inverse proportion to the number of images; or a number "
        "for each class, separated by commas.",
    )
    sampling: str | None = option(
        None,
        "How training images are drawn: each once an epoch (default), or balanced: every class equally often, with "
        "repetitions.",
        choices=("balanced",),
    )
    seed: int = option(0, "Seed of initial weights, image order and augmentation.", least=0, most=2**32 - 1)

    def __post_init__(self):
        super().__post_init__()
        _ = self.factors, self.numbers_of_classes

    @property
    def numbers_of_classes(self) -> list[float] | None:
        """The numbers of `class_weights`; `None` for none, or balanced ones.

        Raises:
            BadInput: for others than numbers of 0 or more.

        >>> Recipe(class_weights=["1", "0.5"]).numbers_of_classes
        [1.0, 0.5]
        """
        if self.class_weights in (None, ["balanced"]):
            return None
        try:
            numbers = [float(each) for each in self.class_weights or ()]
        except ValueError:
            numbers = [math.nan]
        if not all(0 <= each < math.inf for each in numbers) or not any(numbers):
            given = ",".join(self.class_weights or ())
            raise BadInput(f"--class_weights must be balanced, or a number >= 0 for each class; got {given}.")
        return numbers

    @property
    def factors(self) -> list[tuple[str, float]]:
        """The patterns of `rates`, each with its factor.

        Raises:
            BadInput: for one without a positive factor.

        >>> Recipe(rates=["stem=0.1", "unit*=2"]).factors
        [('stem', 0.1), ('unit*', 2.0)]
        """
        return [_factor(each) for each in self.rates or ()]


def _factor(text: str) -> tuple[str, float]:
    """The pattern and the factor in one of `rates`."""
    pattern, _, number = text.rpartition("=")
    try:
        factor = float(number)
    except ValueError:
        factor = math.nan
    if not (pattern and 0 < factor < math.inf):
        raise BadInput(f"--rates must be PATTERN=FACTOR with a factor > 0 (instead of 0, --freeze), got {text!r}.")
    return pattern, factor


@dataclass(frozen=True)
class Survival(Section):
    """How a run survives faults; these values may change on resume."""

    title = "Checkpoints and faults"

    checkpoint_every: int | None = option(None, "Also save every this many steps, not only after each epoch.", least=1)
    keep: int = option(3, "How many of the newest checkpoints to keep, besides the best.", least=1)
    on_nan: str = option(
        "stop",
        "What to do when the loss or a gradient is NaN or infinite: stop the run; roll back to the last checkpoint and "
        "resume without that batch; or skip that step (which keeps a copy of the state on the device).",
        choices=("stop", "rollback", "skip"),
    )


@dataclass(frozen=True)
class Serving(Section):
    """What is exported; these values may change on resume."""

    title = "Export"

    top_k: int | None = option(None, "The number of classes in a served answer; all by default.", least=1)
    head: str | None = option(
        None,
        "What the network's outputs are; by default its last layer decides.",
        choices=("softmax", "logits", "sigmoid", "sigmoid_logits"),
    )
    serving_precision: str | None = option(
        None,
        "The precision of the export between its first and its last weights; float32 by default. bfloat16 is faster on "
        "CPUs with instructions for it.",
        choices=("float32", "bfloat16"),
    )
    formats: list[str] | None = option(
        None,
        "Also export for other runtimes, to formats/ in the folder of the version; separated by commas. Training "
        "images calibrate int8.",
        choices=("onnx", "openvino", "openvino_int8", "litert", "litert_int8"),
    )
    accuracy_tolerance: float | None = option(
        None,
        "The largest loss of test accuracy that bfloat16 and int8 may cause; 0.005 by default.",
        least=0,
        most=1,
    )

    @property
    def faster(self) -> bool:
        """Whether the export computes in less than float32."""
        return self.serving_precision not in (None, "float32")

    @property
    def tolerated(self) -> float:
        """The most accuracy that may be lost.

        >>> Serving().tolerated
        0.005
        """
        return 0.005 if self.accuracy_tolerance is None else self.accuracy_tolerance

    @property
    def given(self) -> dict[str, Any]:
        """The options that are set, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Command(Section):
    """The options that only the command line decides; none is saved with the run."""

    title = "Run, export, devices"

    resume: bool = option(
        False,
        "Resume the run from its last checkpoint, with the flags it was started with; flags under this heading are not "
        "saved: pass them again. With --run=NAME, a run that does not exist yet is started.",
    )
    export: str = option(
        "auto",
        "Export the trained network and check that the export returns the same answers: the state of the best epoch "
        "(default where there is a validation split) or of the last one. To export a run of --noexport later, pass "
        "--resume.",
        choices=("auto", "best", "last", "none"),
    )
    output: str = option(".", "The folder for runs/<run>/ and saved_models/<run>/<version>/.")
    run: str | None = option(
        None,
        "The run's name; by default the experiment's, or the data set, family and depth; with a number if that is "
        "taken.",
    )
    seeds: int | None = option(
        None,
        "Train this many runs, NAME-seed0, NAME-seed1, ..., of as many seeds from --seed on, and print mean and "
        "deviation of their accuracies.",
        least=2,
        most=1000,
    )
    strategy: str = option(
        "auto",
        "The devices: one; all GPUs of this machine; several machines, from TF_CONFIG or Slurm; a TPU. auto picks the "
        "available ones and prints its choice. --batch_size is the total over all devices.",
        choices=("auto", "default", "mirrored", "multiworker", "tpu"),
    )
    tpu: str = option("", "The TPU's name, or local; by default TPU_NAME, or local without it.")
    cpu_devices: int = option(
        1,
        "Split the CPU into this many logical devices, to try --strategy=mirrored without GPUs.",
        least=1,
        most=64,  # more than one machine has GPUs
    )
    remat: str | None = option(
        None,
        "Train in less memory: compute activations again in the backward pass. A number of units for each segment (3), "
        "unit, auto (about the square root of the depth) or norms. Results do not change.",
    )
    jit_compile: bool = option(
        False,
        "Compile the training step with XLA, on one device. It starts later. Results differ by rounding, and by the "
        "draws of dropout.",
    )
    startup_timeout: float = option(
        300.0, "Seconds to wait for all workers to appear, for the first step, and for a save.", least=1
    )
    worker_timeout: float = option(
        25.0, "Seconds that a step of several workers may take before another worker counts as stuck.", least=1
    )


DROPS = (0.5, 0.75)
"""The papers' drops: at 32,000 and 48,000 of 64,000 steps (He et al. 2016), to a tenth and a hundredth of the rate."""
DROP_FACTOR = 0.1

SECTIONS: Mapping[str, type[Section]] = {
    "source": Source,
    "augmenting": Augmenting,
    "network": Network,
    "recipe": Recipe,
    "survival": Survival,
    "serving": Serving,
}
"""The sections of a run's configuration, by name."""
NEEDS: Mapping[str, Needs] = {
    each.name: each.metadata["needs"]
    for record in SECTIONS.values()
    for each in fields(record)
    if each.metadata["needs"]
}
"""What the options require that have an effect only beside another."""
