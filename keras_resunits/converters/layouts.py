"""Other libraries' names for weights such as our `unit003/branch/conv1/kernel`: a rule for each layer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
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
        aliases: The same for names that other programs give to the same layers, any number of pairs. Defaults to none.

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
    aliases: tuple[tuple[str, str], ...] = ()

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
        """Return their weights under the layout's names; a name stays if its new one is taken."""
        new = {name: self._renamed(name) for name in theirs}
        return {name if new[name] in theirs else new[name]: value for name, value in theirs.items()}

    def _renamed(self, name: str) -> str:
        for pattern, replacement in (*([self.old] if self.old else []), *self.aliases):
            name = re.sub(pattern, replacement, name)
        return name

    def known(self, theirs: Iterable[str]) -> list[str]:
        """Return those of their names that a network of any depth has in this layout.

        Example:

        >>> TORCHVISION_RESNET.known(["layer3.22.bn2.weight", "blocks.0.mlp.weight"])
        ['layer3.22.bn2.weight']
        """
        layers = "|".join(re.sub(r"\\{\w+\\}", r"\\d+", re.escape(rule)) for rule in set(self.rules.values()))
        leaves = "|".join(map(re.escape, set(self.leaves.values())))
        pattern = re.compile(f"(?:{layers}){re.escape(self.separator)}(?:{leaves})")
        return [name for name in theirs if pattern.fullmatch(self._renamed(name))]

    def _numbers(self, place: Place | None) -> dict[str, int]:
        if place is None:
            return {}
        stage = place.stage + self.stages_from
        return {"stage": stage, "next": stage + 1, "unit": place.position + self.units_from}


# The stem's names in other programs: `conv` and `bn`, or a sequence of both.
_STEM = ((r"^(conv|conv1\.0)\.", "conv1."), (r"^(bn|conv1\.1)\.", "bn1."))

_POST_ACT = r"(cnr[cC]nrcn|[cC]nrcn)\|add\|r"
_SE_POST_ACT = _POST_ACT.replace(")", ")<squeeze_excite>")
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
    aliases=(*_STEM, (r"^linear\.", "fc.")),
)
"""torchvision's ResNet-18, 34, 50, 101 and 152, timm's networks of the same names, and `downsample` on CIFAR."""


TIMM_SERESNET = replace(
    TORCHVISION_RESNET,
    name="timm_seresnet",
    rules={
        **TORCHVISION_RESNET.rules,
        "unit/branch/squeeze": "layer{stage}.{unit}.se.fc1",
        "unit/branch/excite": "layer{stage}.{unit}.se.fc2",
    },
    units=rf"\|([cC]n)?\|{_SE_POST_ACT}",
    says="post-activation units with projections and squeeze-and-excite; of three convolutions the second strides",
)
"""timm's SE-ResNet-18, 34, 50, 101 and 152."""


AKAMASTER_RESNET = replace(
    TORCHVISION_RESNET,
    name="akamaster_resnet",
    rules={
        **TORCHVISION_RESNET.rules,
        "unit/shortcut/conv": "layer{stage}.{unit}.shortcut.0",
        "unit/shortcut/norm": "layer{stage}.{unit}.shortcut.1",
        "classifier": "linear",
    },
    units=rf"\|([cC]n|Z)?\|{_POST_ACT}",
    says="post-activation units (of three convolutions the second has the stride) with projections, or "
    "with option A that appends half of the zeros on either side",
    stems=("cnr",),
    aliases=(*_STEM, (r"^fc\.", "linear.")),
)
"""akamaster/pytorch_resnet_cifar10's ResNet-20 to 1202, kuangliu/pytorch-cifar's ResNets, others with `shortcut`."""


HYSTS_RESNET = replace(
    AKAMASTER_RESNET,
    name="hysts_resnet",
    rules={
        "stem/conv": "conv",
        "stem/norm": "bn",
        "unit/branch/conv#": "stage{stage}.block{unit}.conv{n}",
        "unit/branch/norm#": "stage{stage}.block{unit}.bn{n}",
        "unit/shortcut/conv": "stage{stage}.block{unit}.shortcut.conv",
        "unit/shortcut/norm": "stage{stage}.block{unit}.shortcut.bn",
        "classifier": "fc",
    },
    units=TORCHVISION_RESNET.units,
    says=TORCHVISION_RESNET.says,
    units_from=1,
    aliases=(),
)
"""hysts/pytorch_image_classification's ResNet for CIFAR."""


DXY_RESNET = replace(
    AKAMASTER_RESNET,
    name="dxy_resnet",
    rules={
        "stem/conv": "conv_1_3x3",
        "stem/norm": "bn_1",
        "unit/branch/conv1": "stage_{stage}.{unit}.conv_a",
        "unit/branch/norm1": "stage_{stage}.{unit}.bn_a",
        "unit/branch/conv2": "stage_{stage}.{unit}.conv_b",
        "unit/branch/norm2": "stage_{stage}.{unit}.bn_b",
        "classifier": "classifier",
    },
    units=r"\|z?\|[cC]nrcn\|add\|r",
    says="post-activation units of two convolutions, with option A that appends the zeros at the end",
    aliases=((r"^conv_1\.", "conv_1_3x3."), (r"^fc\.", "classifier.")),
)
"""D-X-Y/ResNeXt-DenseNet's ResNet-20 to 110 for CIFAR, which many programs for pruning took over."""


_SEQUENTIAL = {  # a branch that is a sequence: conv norm ReLU conv norm ReLU conv norm
    "unit/branch/conv1": "0",
    "unit/branch/norm1": "1",
    "unit/branch/conv2": "3",
    "unit/branch/norm2": "4",
    "unit/branch/conv3": "6",
    "unit/branch/norm3": "7",
}


def _sequential(unit: str, branch: str) -> dict[str, str]:
    return {
        "stem/conv": "conv1.0",
        "stem/norm": "conv1.1",
        **{path: f"{unit}.{branch}.{place}" for path, place in _SEQUENTIAL.items()},
        "unit/shortcut/conv": f"{unit}.shortcut.0",
        "unit/shortcut/norm": f"{unit}.shortcut.1",
        "classifier": "fc",
    }


LEFT_RESNET = replace(
    TORCHVISION_RESNET, name="left_resnet", rules=_sequential("layer{stage}.{unit}", "left"), stems=("cnr",), aliases=()
)
"""The ResNet-18 for CIFAR of many tutorials, whose branch is `left`."""


WEIAICUNZAI_RESNET = replace(
    LEFT_RESNET,
    name="weiaicunzai_resnet",
    rules=_sequential("conv{stage}_x.{unit}", "residual_function"),
    stages_from=2,
)
"""weiaicunzai/pytorch-cifar100's ResNet-18 to 152."""


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


XTERNALZ_WRN = Layout(
    name="xternalz_wrn",
    rules={
        "stem/conv": "conv1",
        "unit/entry/norm": "block{stage}.layer.{unit}.bn1",
        "unit/branch/norm#": "block{stage}.layer.{unit}.bn{n}",
        "unit/branch/conv#": "block{stage}.layer.{unit}.conv{n}",
        "unit/shortcut/conv": "block{stage}.layer.{unit}.convShortcut",
        "post/norm": "bn1",
        "classifier": "fc",
    },
    units=r"(nr\|[cC]\||\|\|nr)[cC]nrc\|add\|",
    says="pre-activation units of two convolutions with projections, also in the first",
    stems=("c",),
    leaves=TORCH_LEAVES,
)
"""xternalz/WideResNet-pytorch's WRN for CIFAR, which many programs of robust training took over."""


SZAGORUYKO_WRN = replace(
    XTERNALZ_WRN,
    name="szagoruyko_wrn",
    rules={
        "stem/conv": "conv0",
        "unit/entry/norm": "group{stage}.block{unit}.bn0",
        "unit/branch/norm1": "group{stage}.block{unit}.bn0",
        "unit/branch/conv1": "group{stage}.block{unit}.conv0",
        "unit/branch/norm2": "group{stage}.block{unit}.bn1",
        "unit/branch/conv2": "group{stage}.block{unit}.conv1",
        "unit/shortcut/conv": "group{stage}.block{unit}.convdim",
        "post/norm": "bn",
        "classifier": "fc",
    },
    stages_from=0,
    aliases=((r"(^|\.)(conv\d|convdim)$", r"\1\2.weight"),),  # functions without modules: the tensor has no leaf
)
"""The authors' WRN for CIFAR in PyTorch (szagoruyko/wide-residual-networks), and that of attention transfer."""


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


PYTORCHCV_SERESNET = replace(
    PYTORCHCV_RESNET,
    name="pytorchcv_seresnet",
    rules={
        **PYTORCHCV_RESNET.rules,
        "unit/branch/squeeze": "features.stage{stage}.unit{unit}.se.conv1",
        "unit/branch/excite": "features.stage{stage}.unit{unit}.se.conv2",
    },
    units=r"\|([cC]n)?\|([cC]nrcnrcn|cnr[cC]nrcn|[cC]nrcn)<squeeze_excite>\|add\|r",
    says="post-activation units with projections and squeeze-and-excite; of three convolutions the first or second has "
    "the stride",
    stems=("cnr", "cnrm"),
    aliases=((r"init_block\.conv\.(conv|bn)\.", r"init_block.\1."),),  # ImageNet's, which has a pooling beside it
)
"""pytorchcv's SE-ResNet for CIFAR and SVHN, and SE-ResNet-18 to 200b for ImageNet."""


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
        TIMM_SERESNET,
        AKAMASTER_RESNET,
        HYSTS_RESNET,
        DXY_RESNET,
        LEFT_RESNET,
        WEIAICUNZAI_RESNET,
        XTERNALZ_WRN,
        SZAGORUYKO_WRN,
        PYTORCHCV_RESNET,
        PYTORCHCV_SERESNET,
        PYTORCHCV_PRERESNET,
        PYTORCHCV_PRERESNET_IMAGENET,
        PYTORCHCV_DENSENET,
        PYTORCHCV_DENSENET_BC,
    )
}
KERAS_LAYOUTS = {layout.name: layout for layout in (KERAS_RESNET, KERAS_RESNETV2, KERAS_DENSENET)}
