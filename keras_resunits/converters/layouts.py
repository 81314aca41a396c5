"""Other libraries' names for weights such as our `unit003/branch/conv1/kernel`: a rule for each layer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from keras_resunits.converters.places import Place

TORCH_LEAVES = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}

T = TypeVar("T")

_NUMBERED = re.compile(r"^(.*\D)(\d+)$")


@dataclass(frozen=True)
class Layout:
    """Another library's names for our layers, and the arithmetic that goes with them.

    Args:
        name: Name of the layout.
        rules: Their layer's name by the path of our layer, with `#` for the number at its end. In our path, `unit` (or
            `transition`) stands for the name of the unit. In their name, `{stage}`, `{unit}` and `{n}` stand for the
            unit's place and that number, `{next}` for the following stage.
        units: A regular expression that `spelled` must match for every unit.
        says: The same in words, for the error message.
        stems: The values that `spelled_stem` may have.
        leaves: Their names for the weights of a layer.
        separator: Separator between layer and weight. Defaults to ".".
        stages_from: Their number of the first stage. Defaults to 1.
        units_from: Their number of the first unit of a stage. Defaults to 0.
        epsilon: Epsilon of their batch normalisation. Defaults to 1e-5.
        old: A regular expression for names in old checkpoints, and its replacement. Defaults to `None`.

    Example:

    >>> from keras_resunits.converters.places import Place
    >>> places = {"unit005": Place("unit", stage=1, position=2)}
    >>> TORCHVISION_RESNET.name_of("unit005/branch/norm2/moving_mean", places)
    'layer2.2.bn2.running_mean'
    """

    name: str
    rules: Mapping[str, str]
    units: str
    says: str
    stems: tuple[str, ...]
    leaves: Mapping[str, str]
    separator: str = "."
    stages_from: int = 1
    units_from: int = 0
    epsilon: float = 1e-5
    old: tuple[str, str] | None = None

    def name_of(self, path: str, places: Mapping[str, Place]) -> str | None:
        """Return their name of our variable.

        Args:
            path: Path of our variable.
            places: The places of the units, as `places_of` returns them.

        Returns:
            The name, or `None` if no rule applies to the layer.
        """
        layer, leaf = path.rsplit("/", 1)
        unit, *within = layer.split("/")
        place = places.get(unit)
        if place:
            layer = f"{place.kind}/{within[0]}/{within[-1]}"  # without other layers around it in its slot
        numbered = _NUMBERED.match(layer)
        rule = self.rules.get(layer) or (numbered and self.rules.get(f"{numbered[1]}#"))
        if not rule or leaf not in self.leaves:
            return None
        theirs = rule.format(n=numbered[2] if numbered else "", **self._numbers(place))
        return f"{theirs}{self.separator}{self.leaves[leaf]}"

    def renamed(self, theirs: Mapping[str, T]) -> dict[str, T]:
        """Return their weights under the current names."""
        return {re.sub(*self.old, name) if self.old else name: value for name, value in theirs.items()}

    def _numbers(self, place: Place | None) -> dict[str, int]:
        if place is None:
            return {}
        stage = place.stage + self.stages_from
        return {"stage": stage, "next": stage + 1, "unit": place.position + self.units_from}


_POST_ACT = r"(cnr[cC]nrcn|[cC]nrcn)\|add\|r"
_PRE_ACT = r"(nr\|[cC]\||\|\|nr)(cnr[cC]nrc|[cC]nrc)\|add\|"

TORCHVISION_RESNET = Layout(
    name="torchvision_resnet",
    rules={
        "stem/conv": "conv1",
        "stem/norm": "bn1",
        "unit/branch/conv#": "layer{stage}.{unit}.conv{n}",
        "unit/branch/norm#": "layer{stage}.{unit}.bn{n}",
        "unit/shortcut/conv": "layer{stage}.{unit}.downsample.0",
        "unit/shortcut/norm": "layer{stage}.{unit}.downsample.1",
        "classifier": "fc",
    },
    units=rf"\|([cC]n)?\|{_POST_ACT}",
    says="post-activation units with projections; of three convolutions the second has the stride (bottleneck_v1_5)",
    stems=("cnr", "cnrm", "cnrM"),
    leaves=TORCH_LEAVES,
)
"""torchvision's ResNet-18, 34, 50, 101 and 152, and timm's networks of the same names."""


AKAMASTER_RESNET = replace(
    TORCHVISION_RESNET,
    name="akamaster_resnet",
    rules={
        **TORCHVISION_RESNET.rules,
        "unit/shortcut/conv": "layer{stage}.{unit}.shortcut.0",
        "unit/shortcut/norm": "layer{stage}.{unit}.shortcut.1",
        "classifier": "linear",
    },
    units=r"\|([cC]n|Z)?\|[cC]nrcn\|add\|r",
    says="post-activation units of two convolutions, with option A that appends half of the zeros on either side",
    stems=("cnr",),
)
"""akamaster/pytorch_resnet_cifar10: ResNet-20 to 1202 for CIFAR."""


TIMM_RESNETV2 = Layout(
    name="timm_resnetv2",
    rules={
        "stem/conv": "stem.conv",
        "unit/entry/norm": "stages.{stage}.blocks.{unit}.norm1",
        "unit/branch/norm#": "stages.{stage}.blocks.{unit}.norm{n}",
        "unit/branch/conv#": "stages.{stage}.blocks.{unit}.conv{n}",
        "unit/shortcut/conv": "stages.{stage}.blocks.{unit}.downsample.conv",
        "post/norm": "norm",
        "classifier": "head.fc",
    },
    units=_PRE_ACT,
    says="pre-activation units with projections; of three convolutions the second has the stride (bottleneck_v1_5)",
    stems=("c", "cm"),
    leaves=TORCH_LEAVES,
    stages_from=0,
)
"""timm's resnetv2_18, 34, 50, 101 and 152: those with batch normalisation and the plain 7x7 stem."""


PYTORCHCV_PRERESNET = Layout(
    name="pytorchcv_preresnet",
    rules={
        "stem/conv": "features.init_block",
        "unit/entry/norm": "features.stage{stage}.unit{unit}.body.conv1.bn",
        "unit/branch/norm#": "features.stage{stage}.unit{unit}.body.conv{n}.bn",
        "unit/branch/conv#": "features.stage{stage}.unit{unit}.body.conv{n}.conv",
        "unit/shortcut/conv": "features.stage{stage}.unit{unit}.identity_conv",
        "post/norm": "features.post_activ.bn",
        "classifier": "output",
    },
    units=_PRE_ACT,
    says="pre-activation units with projections; of three convolutions the second has the stride (bottleneck_v1_5)",
    stems=("c",),
    leaves=TORCH_LEAVES,
    units_from=1,
)
"""pytorchcv's (osmr/imgclsmob) PreResNet and WRN for CIFAR and SVHN."""


PYTORCHCV_PRERESNET_IMAGENET = replace(
    PYTORCHCV_PRERESNET,
    name="pytorchcv_preresnet_imagenet",
    rules={
        **PYTORCHCV_PRERESNET.rules,
        "stem/conv": "features.init_block.conv",
        "stem/norm": "features.init_block.bn",
    },
    units=r"(nr\|[cC]\||\|\|nr)([cC]nrcnrc|cnr[cC]nrc|[cC]nrc)\|add\|",
    says="pre-activation units with projections, also in the first; of three convolutions the first or second strides",
    stems=("cnrm",),
)
"""pytorchcv's PreResNet-18 to 200 for ImageNet, whose first unit repeats the activation of the stem."""


PYTORCHCV_RESNET = replace(
    TORCHVISION_RESNET,
    name="pytorchcv_resnet",
    rules={
        "stem/conv": "features.init_block.conv",
        "stem/norm": "features.init_block.bn",
        "unit/branch/conv#": "features.stage{stage}.unit{unit}.body.conv{n}.conv",
        "unit/branch/norm#": "features.stage{stage}.unit{unit}.body.conv{n}.bn",
        "unit/shortcut/conv": "features.stage{stage}.unit{unit}.identity_conv.conv",
        "unit/shortcut/norm": "features.stage{stage}.unit{unit}.identity_conv.bn",
        "classifier": "output",
    },
    stems=("cnr",),
    units_from=1,
)
"""pytorchcv's ResNet for CIFAR and SVHN."""


TORCHVISION_DENSENET = Layout(
    name="torchvision_densenet",
    rules={
        "stem/conv": "features.conv0",
        "stem/norm": "features.norm0",
        "unit/branch/norm#": "features.denseblock{stage}.denselayer{unit}.norm{n}",
        "unit/branch/conv#": "features.denseblock{stage}.denselayer{unit}.conv{n}",
        "transition/branch/norm1": "features.transition{stage}.norm",
        "transition/branch/conv1": "features.transition{stage}.conv",
        "post/norm": "features.norm5",
        "classifier": "classifier",
    },
    units=r"\|\|nrcnrc\|concat\||\|\|nrcp\|branch_only\|",
    says="dense units norm ReLU 1x1 norm ReLU 3x3, and transitions norm ReLU 1x1 average-pool",
    stems=("cnr", "cnrm", "cnrM"),
    leaves=TORCH_LEAVES,
    units_from=1,
    old=(r"(denselayer\d+\.(?:norm|conv))\.(\d+)\.", r"\1\2."),  # the published files: norm.1.weight
)
"""torchvision's DenseNet-121, 161, 169 and 201, and timm's networks of the same names."""


PYTORCHCV_DENSENET = Layout(
    name="pytorchcv_densenet",
    rules={
        "stem/conv": "features.init_block",
        "unit/branch/norm1": "features.stage{stage}.unit{unit}.conv.bn",
        "unit/branch/conv1": "features.stage{stage}.unit{unit}.conv.conv",
        "transition/branch/norm1": "features.stage{next}.trans{next}.conv.bn",
        "transition/branch/conv1": "features.stage{next}.trans{next}.conv.conv",
        "post/norm": "features.post_activ.bn",
        "classifier": "output",
    },
    units=r"\|\|nrc\|concat\||\|\|nrcp\|branch_only\|",
    says="dense units norm ReLU 3x3, and transitions norm ReLU 1x1 average-pool",
    stems=("c",),
    leaves=TORCH_LEAVES,
    units_from=1,
)
"""pytorchcv's DenseNet for CIFAR and SVHN without bottlenecks."""


PYTORCHCV_DENSENET_BC = replace(
    PYTORCHCV_DENSENET,
    name="pytorchcv_densenet_bc",
    rules={
        **PYTORCHCV_DENSENET.rules,
        "unit/branch/norm1": "features.stage{stage}.unit{unit}.conv1.bn",
        "unit/branch/conv1": "features.stage{stage}.unit{unit}.conv1.conv",
        "unit/branch/norm2": "features.stage{stage}.unit{unit}.conv2.bn",
        "unit/branch/conv2": "features.stage{stage}.unit{unit}.conv2.conv",
    },
    units=TORCHVISION_DENSENET.units,
    says=TORCHVISION_DENSENET.says,
)
"""pytorchcv's DenseNet-BC for CIFAR and SVHN."""


_of_keras = partial(
    Layout,
    leaves={leaf: leaf for leaf in TORCH_LEAVES},
    separator="/",
    stages_from=2,
    units_from=1,
    epsilon=1.001e-5,
    old=(r"^(probs|fc1000)/", "predictions/"),  # the classifiers of the files published with Keras 2
)

KERAS_RESNET = _of_keras(
    name="keras_resnet",
    rules={
        "stem/conv": "conv1_conv",
        "stem/norm": "conv1_bn",
        "unit/branch/conv#": "conv{stage}_block{unit}_{n}_conv",
        "unit/branch/norm#": "conv{stage}_block{unit}_{n}_bn",
        "unit/shortcut/conv": "conv{stage}_block{unit}_0_conv",
        "unit/shortcut/norm": "conv{stage}_block{unit}_0_bn",
        "classifier": "predictions",
    },
    units=r"\|([cC]n)?\|[cC]nrcnrcn\|add\|r",
    says="post-activation bottlenecks with projections, the stride on the first 1x1",
    stems=("cnr", "cnrm", "cnrM"),
)
"""keras.applications' ResNet50, ResNet101 and ResNet152."""


KERAS_RESNETV2 = _of_keras(
    name="keras_resnetv2",
    rules={
        "stem/conv": "conv1_conv",
        "unit/entry/norm": "conv{stage}_block{unit}_preact_bn",
        "unit/branch/norm1": "conv{stage}_block{unit}_preact_bn",
        "unit/branch/norm2": "conv{stage}_block{unit}_1_bn",
        "unit/branch/norm3": "conv{stage}_block{unit}_2_bn",
        "unit/branch/conv#": "conv{stage}_block{unit}_{n}_conv",
        "unit/shortcut/conv": "conv{stage}_block{unit}_0_conv",
        "post/norm": "post_bn",
        "classifier": "predictions",
    },
    units=r"(nr\|c\||\|s?\|nr)cnr[cC]nrc\|add\|",
    says="pre-activation bottlenecks, the stride on the 3x3 of a stage's last unit, whose shortcut skips pixels",
    stems=("c", "cM"),
)
"""keras.applications' ResNet50V2, ResNet101V2 and ResNet152V2."""


KERAS_DENSENET = _of_keras(
    name="keras_densenet",
    rules={
        "stem/conv": "conv1_conv",
        "stem/norm": "conv1_bn",
        "unit/branch/norm1": "conv{stage}_block{unit}_0_bn",
        "unit/branch/norm2": "conv{stage}_block{unit}_1_bn",
        "unit/branch/conv#": "conv{stage}_block{unit}_{n}_conv",
        "transition/branch/norm1": "pool{stage}_bn",
        "transition/branch/conv1": "pool{stage}_conv",
        "post/norm": "bn",
        "classifier": "predictions",
    },
    units=TORCHVISION_DENSENET.units,
    says=TORCHVISION_DENSENET.says,
    stems=("cnr", "cnrm", "cnrM"),
)
"""keras.applications' DenseNet121, DenseNet169 and DenseNet201."""


TORCH_LAYOUTS = {
    layout.name: layout
    for layout in (
        TORCHVISION_RESNET,
        TORCHVISION_DENSENET,
        TIMM_RESNETV2,
        AKAMASTER_RESNET,
        PYTORCHCV_RESNET,
        PYTORCHCV_PRERESNET,
        PYTORCHCV_PRERESNET_IMAGENET,
        PYTORCHCV_DENSENET,
        PYTORCHCV_DENSENET_BC,
    )
}
KERAS_LAYOUTS = {layout.name: layout for layout in (KERAS_RESNET, KERAS_RESNETV2, KERAS_DENSENET)}
