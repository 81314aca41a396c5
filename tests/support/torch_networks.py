"""The networks whose checkpoints we read, in PyTorch, small: the attribute names and the arithmetic of each library."""

import re
from collections import OrderedDict
from functools import partial

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


def conv(takes, gives, size, stride=1):
    return nn.Conv2d(takes, gives, size, stride, padding=size // 2, bias=False)


def randomized(network: nn.Module, seed: int = 3) -> nn.Module:
    """In evaluation mode, with no norm left at a value that it might also have by accident."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5, generator=generator)
            nn.init.normal_(module.bias, 0.0, 0.3, generator=generator)
            module.running_mean.normal_(0.0, 0.3, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
    return network.eval()


def logits(network: nn.Module, images: np.ndarray) -> np.ndarray:
    """What the network answers on `[batch, height, width, channels]`."""
    with torch.no_grad():
        return network(torch.from_numpy(images).permute(0, 3, 1, 2)).numpy()


# ---------------------------------------------------------------------------------------------------------------------
# torchvision, `models/resnet.py`; timm's `resnet.py` has the same names.


class BasicBlock(nn.Module):
    expansion = 1

    def __init__(self, takes, planes, stride):
        super().__init__()
        self.conv1, self.bn1 = conv(takes, planes, 3, stride), nn.BatchNorm2d(planes)
        self.conv2, self.bn2 = conv(planes, planes, 3), nn.BatchNorm2d(planes)
        self.downsample = downsample(takes, planes, stride)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    expansion, widening = 4, 1

    def __init__(self, takes, planes, stride):
        super().__init__()
        width = planes * self.widening
        self.conv1, self.bn1 = conv(takes, width, 1), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = conv(width, width, 3, stride), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = conv(width, 4 * planes, 1), nn.BatchNorm2d(4 * planes)
        self.downsample = downsample(takes, 4 * planes, stride)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(self.bn3(self.conv3(y)) + (x if self.downsample is None else self.downsample(x)))


class WideBottleneck(Bottleneck):
    widening = 2


def downsample(takes, gives, stride):
    if stride == 1 and takes == gives:
        return None
    return nn.Sequential(conv(takes, gives, 1, stride), nn.BatchNorm2d(gives))


class SqueezeExcite(nn.Module):
    """timm, `layers/squeeze_excite.py`; pytorchcv's `SEBlock` names the convolutions otherwise."""

    def __init__(self, channels, narrow, names=("fc1", "fc2")):
        super().__init__()
        self.names = names
        self.add_module(names[0], nn.Conv2d(channels, narrow, 1))
        self.add_module(names[1], nn.Conv2d(narrow, channels, 1))

    def forward(self, x):
        squeeze, excite = (getattr(self, name) for name in self.names)
        return x * torch.sigmoid(excite(F.relu(squeeze(x.mean((2, 3), keepdim=True)))))


class SEBasicBlock(BasicBlock):
    def __init__(self, takes, planes, stride):
        super().__init__(takes, planes, stride)
        self.se = SqueezeExcite(planes, 8)

    def forward(self, x):
        y = self.se(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class SEBottleneck(Bottleneck):
    def __init__(self, takes, planes, stride):
        super().__init__(takes, planes, stride)
        self.se = SqueezeExcite(4 * planes, 8)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.se(self.bn3(self.conv3(F.relu(self.bn2(self.conv2(y))))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


def set_stages(network, name, block, units, width):
    """Set stages of `block` as attributes `name`, each after the first with a stride; return their channels."""
    takes = width
    for i, count in enumerate(units):
        planes, blocks = width * 2**i, []
        for j in range(count):
            blocks.append(block(takes, planes, 2 if i and not j else 1))
            takes = planes * block.expansion
        setattr(network, name.format(i + 1), nn.Sequential(*blocks))
    return takes


class TorchvisionResNet(nn.Module):
    def __init__(self, block, units, width, classes):
        super().__init__()
        self.conv1, self.bn1 = conv(3, width, 7, 2), nn.BatchNorm2d(width)
        self.fc = nn.Linear(set_stages(self, "layer{}", block, units, width), classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, padding=1)
        for name, stage in self.named_children():
            x = stage(x) if name.startswith("layer") else x
        return self.fc(x.mean((2, 3)))


# ---------------------------------------------------------------------------------------------------------------------
# akamaster/pytorch_resnet_cifar10, `resnet.py`.


class Lambda(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class AkamasterBlock(nn.Module):
    def __init__(self, takes, planes, stride, option):
        super().__init__()
        self.conv1, self.bn1 = conv(takes, planes, 3, stride), nn.BatchNorm2d(planes)
        self.conv2, self.bn2 = conv(planes, planes, 3), nn.BatchNorm2d(planes)
        self.shortcut = nn.Sequential()
        if stride != 1 or takes != planes:
            if option == "A":
                either = planes // 4
                self.shortcut = Lambda(lambda x: F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, either, either)))
            else:
                self.shortcut = downsample(takes, planes, stride)

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.shortcut(x))


class AkamasterResNet(nn.Module):
    def __init__(self, units, classes, option="A"):
        super().__init__()
        self.conv1, self.bn1 = conv(3, 16, 3), nn.BatchNorm2d(16)
        takes = 16
        for i, count in enumerate(units):
            blocks = []
            for j in range(count):
                blocks.append(AkamasterBlock(takes, 16 * 2**i, 2 if i and not j else 1, option))
                takes = 16 * 2**i
            setattr(self, f"layer{i + 1}", nn.Sequential(*blocks))
        self.linear = nn.Linear(takes, classes)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean((2, 3)))


# ---------------------------------------------------------------------------------------------------------------------
# Other programs for CIFAR. Each names its stem, stages and classifier.


class CifarResNet(nn.Module):
    """A 3x3 stem, stages and a classifier, under the names of a program."""

    def __init__(self, block, units, width, classes, stem=("conv1", "bn1"), stages="layer{}", classifier="fc"):
        super().__init__()
        layers = conv(3, width, 3), nn.BatchNorm2d(width)
        for name, layer in zip(stem, layers, strict=False):
            self.add_module(name, layer if len(stem) > 1 else nn.Sequential(*layers, nn.ReLU()))
        takes = set_stages(self, stages, block, units, width)
        self.add_module(classifier, nn.Linear(takes, classes))

    def forward(self, x):
        *layers, classifier = self.children()
        for layer in layers:
            x = F.relu(layer(x)) if isinstance(layer, nn.BatchNorm2d) else layer(x)
        return classifier(x.mean((2, 3)))


class ShortcutBlock(BasicBlock):
    """kuangliu/pytorch-cifar, `models/resnet.py`; akamaster's option B."""

    def __init__(self, takes, planes, stride):
        super().__init__(takes, planes, stride)
        self.shortcut, self.downsample = self.downsample or nn.Sequential(), None

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class ShortcutBottleneck(Bottleneck):
    def __init__(self, takes, planes, stride):
        super().__init__(takes, planes, stride)
        self.shortcut, self.downsample = self.downsample or nn.Sequential(), None

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(self.bn3(self.conv3(y)) + self.shortcut(x))


class SequentialBlock(nn.Module):
    """A branch that is a sequence: `left` in tutorials, `residual_function` in weiaicunzai/pytorch-cifar100."""

    expansion = 1

    def __init__(self, takes, planes, stride, branch):
        super().__init__()
        gives = planes * self.expansion
        blocks = [ConvBlock(*shape) for shape in self.shapes(takes, planes, gives, stride)]
        self.branch = branch
        self.add_module(branch, nn.Sequential(*[layer for block in blocks for layer in block][:-1]))
        self.shortcut = downsample(takes, gives, stride) or nn.Sequential()

    def shapes(self, takes, planes, gives, stride):
        return [(takes, planes, 3, stride), (planes, gives, 3)]

    def forward(self, x):
        return F.relu(getattr(self, self.branch)(x) + self.shortcut(x))


class SequentialBottleneck(SequentialBlock):
    expansion = 4

    def shapes(self, takes, planes, gives, stride):
        return [(takes, planes, 1), (planes, planes, 3, stride), (planes, gives, 1)]


def TutorialResNet(units, width, classes):
    return CifarResNet(branched(SequentialBlock, "left"), units, width, classes, stem=("conv1",))


def WeiaicunzaiResNet(block, units, width, classes):
    network = CifarResNet(branched(block, "residual_function"), units, width, classes, stem=("conv1",))
    for i in range(len(units), 0, -1):
        network._modules = OrderedDict(
            (f"conv{i + 1}_x" if name == f"layer{i}" else name, module) for name, module in network._modules.items()
        )
    return network


def branched(block, branch):
    make = partial(block, branch=branch)
    make.expansion = block.expansion
    return make


class HystsBlock(ShortcutBlock):
    """hysts/pytorch_image_classification, `models/cifar/resnet.py`."""

    def __init__(self, takes, planes, stride):
        super().__init__(takes, planes, stride)
        self.shortcut = nn.Sequential(OrderedDict(zip(("conv", "bn"), self.shortcut, strict=False)))


def HystsResNet(units, width, classes):
    network = CifarResNet(HystsBlock, units, width, classes, stem=("conv", "bn"), stages="stage{}")
    for i in range(1, len(units) + 1):
        blocks = getattr(network, f"stage{i}")
        setattr(network, f"stage{i}", nn.Sequential(OrderedDict((f"block{j}", b) for j, b in enumerate(blocks, 1))))
    return network


class DxyBlock(nn.Module):
    """D-X-Y/ResNeXt-DenseNet, `models/resnet.py`, whose `DownsampleA` appends zeros."""

    expansion = 1

    def __init__(self, takes, planes, stride):
        super().__init__()
        self.conv_a, self.bn_a = conv(takes, planes, 3, stride), nn.BatchNorm2d(planes)
        self.conv_b, self.bn_b = conv(planes, planes, 3), nn.BatchNorm2d(planes)
        self.avg = nn.AvgPool2d(1, stride) if stride != 1 else None

    def forward(self, x):
        y = self.bn_b(self.conv_b(F.relu(self.bn_a(self.conv_a(x)))))
        if self.avg is not None:
            x = self.avg(x)
            x = torch.cat((x, x.mul(0)), 1)
        return F.relu(x + y)


def DxyResNet(units, classes, stem=("conv_1_3x3", "bn_1"), classifier="classifier"):
    return CifarResNet(DxyBlock, units, 16, classes, stem, "stage_{}", classifier)


class WideBlock(nn.Module):
    """xternalz/WideResNet-pytorch, `wideresnet.py`, and the authors' functions, which count from 0."""

    def __init__(self, takes, gives, stride, names):
        super().__init__()
        layers = nn.BatchNorm2d(takes), conv(takes, gives, 3, stride), nn.BatchNorm2d(gives), conv(gives, gives, 3)
        self.names = names
        for name, layer in zip(names, layers, strict=False):
            self.add_module(name, layer)
        if takes != gives:
            self.add_module(names[-1], conv(takes, gives, 1, stride))

    def forward(self, x):
        norm1, conv1, norm2, conv2, *widen = (getattr(self, name) for name in self.names if hasattr(self, name))
        activated = F.relu(norm1(x))
        y = conv2(F.relu(norm2(conv1(activated))))
        return y + (widen[0](activated) if widen else x)


class WRN(nn.Module):
    stem, norm, stage = "conv1", "bn1", "block{}"
    names = "bn1", "conv1", "bn2", "conv2", "convShortcut"

    def __init__(self, units, width, classes):
        super().__init__()
        takes = 16
        self.add_module(self.stem, conv(3, takes, 3))
        for i, count in enumerate(units):
            gives, blocks = 16 * width * 2**i, nn.Sequential()
            for j in range(count):
                blocks.append(WideBlock(takes, gives, 2 if i and not j else 1, self.names))
                takes = gives
            self.add_module(self.stage.format(i + 1), self.staged(blocks))
        self.add_module(self.norm, nn.BatchNorm2d(takes))
        self.fc = nn.Linear(takes, classes)

    def staged(self, blocks):
        return nn.Sequential(OrderedDict(layer=blocks))

    def forward(self, x):
        *layers, norm, fc = self.children()
        for layer in layers:
            x = layer(x)
        return fc(F.relu(norm(x)).mean((2, 3)))


class AuthorsWRN(WRN):
    """szagoruyko/wide-residual-networks, `pytorch/resnet.py`: functions, whose tensors lack the module's `weight`."""

    stem, norm = "conv0", "bn"
    names = "bn0", "conv0", "bn1", "conv1", "convdim"

    def __init__(self, units, width, classes):
        super().__init__(units, width, classes)
        self._modules = OrderedDict(
            (f"group{int(name[-1]) - 1}" if name.startswith("block") else name, module)
            for name, module in self._modules.items()
        )

    def staged(self, blocks):
        return nn.Sequential(OrderedDict((f"block{j}", block) for j, block in enumerate(blocks)))

    def state_dict(self):
        return {re.sub(r"(conv\d|convdim)\.weight$", r"\1", name): each for name, each in super().state_dict().items()}


# ---------------------------------------------------------------------------------------------------------------------
# timm, `models/resnetv2.py`, with batch norm.


class BatchNormAct2d(nn.BatchNorm2d):
    def forward(self, x):
        return F.relu(super().forward(x))


class TimmPreActBlock(nn.Module):
    def __init__(self, takes, gives, stride, bottleneck):
        super().__init__()
        self.downsample = None
        if stride != 1 or takes != gives:
            self.downsample = nn.Sequential(OrderedDict(conv=conv(takes, gives, 1, stride), norm=nn.Identity()))
        narrow = gives // 4
        if bottleneck:
            shapes = [(takes, narrow, 1, 1), (narrow, narrow, 3, stride), (narrow, gives, 1, 1)]
        else:
            shapes = [(takes, gives, 3, stride), (gives, gives, 3, 1)]
        for i, shape in enumerate(shapes, 1):
            setattr(self, f"norm{i}", BatchNormAct2d(shape[0]))
            setattr(self, f"conv{i}", conv(*shape))
        self.convs = len(shapes)

    def forward(self, x):
        activated = self.norm1(x)
        carry = x if self.downsample is None else self.downsample(activated)
        y = self.conv1(activated)
        for i in range(2, self.convs + 1):
            y = getattr(self, f"conv{i}")(getattr(self, f"norm{i}")(y))
        return y + carry


class TimmResNetV2(nn.Module):
    def __init__(self, units, width, classes, bottleneck):
        super().__init__()
        self.stem = nn.Sequential(OrderedDict(conv=conv(3, width, 7, 2), pool=nn.MaxPool2d(3, 2, padding=1)))
        takes, self.stages = width, nn.Sequential()
        for i, count in enumerate(units):
            gives, blocks = width * 2**i * (4 if bottleneck else 1), []
            for j in range(count):
                blocks.append(TimmPreActBlock(takes, gives, 2 if i and not j else 1, bottleneck))
                takes = gives
            self.stages.add_module(str(i), nn.Sequential(OrderedDict(blocks=nn.Sequential(*blocks))))
        self.norm = BatchNormAct2d(takes)
        self.head = nn.Sequential(OrderedDict(global_pool=nn.AdaptiveAvgPool2d(1), fc=nn.Conv2d(takes, classes, 1)))

    def forward(self, x):
        return self.head(self.norm(self.stages(self.stem(x)))).flatten(1)


# ---------------------------------------------------------------------------------------------------------------------
# pytorchcv (osmr/imgclsmob): `resnet_cifar.py`, `preresnet.py`, `preresnet_cifar.py`, `wrn_cifar.py`,
# `densenet_cifar.py` and their common blocks.


class ConvBlock(nn.Sequential):
    def __init__(self, takes, gives, size, stride=1, activates=True):
        activ = {"activ": nn.ReLU()} if activates else {}
        super().__init__(OrderedDict(conv=conv(takes, gives, size, stride), bn=nn.BatchNorm2d(gives), **activ))


class ResUnit(nn.Module):
    def __init__(self, takes, gives, stride, bottleneck):
        super().__init__()
        shapes = body(takes, gives, bottleneck, strides=(1, stride, 1) if bottleneck else (stride, 1))
        *inner, last = enumerate(shapes, 1)
        blocks = {f"conv{i}": ConvBlock(*shape) for i, shape in inner}
        self.body = nn.Sequential(OrderedDict(blocks, **{f"conv{last[0]}": ConvBlock(*last[1], activates=False)}))
        self.resizes = stride != 1 or takes != gives
        if self.resizes:
            self.identity_conv = ConvBlock(takes, gives, 1, stride, activates=False)

    def forward(self, x):
        return F.relu(self.body(x) + (self.identity_conv(x) if self.resizes else x))


class SEResUnit(ResUnit):
    def __init__(self, takes, gives, stride, bottleneck):
        super().__init__(takes, gives, stride, bottleneck)
        self.se = SqueezeExcite(gives, gives // 16, ("conv1", "conv2"))

    def forward(self, x):
        return F.relu(self.se(self.body(x)) + (self.identity_conv(x) if self.resizes else x))


class ResInitBlock(nn.Sequential):
    def __init__(self, gives):
        super().__init__(OrderedDict(conv=ConvBlock(3, gives, 7, 2), pool=nn.MaxPool2d(3, 2, padding=1)))


def body(takes, gives, bottleneck, strides):
    """The convolutions of a unit: channels in and out, size, stride."""
    widths = [takes, gives // 4, gives // 4, gives] if bottleneck else [takes, gives, gives]
    sizes = (1, 3, 1) if bottleneck else (3, 3)
    return list(zip(widths, widths[1:], sizes, strides, strict=False))


class PytorchcvResNet(nn.Module):
    def __init__(self, units, classes, bottleneck=False, unit=ResUnit, init_block=None):
        super().__init__()
        self.features = nn.Sequential(OrderedDict(init_block=init_block or ConvBlock(3, 16, 3)))
        takes = add_stages(self.features, unit, units, 16, 16, bottleneck)
        self.features.add_module("final_pool", nn.AdaptiveAvgPool2d(1))
        self.output = nn.Linear(takes, classes)

    def forward(self, x):
        return self.output(self.features(x).flatten(1))


def add_stages(features, block, units, takes, width, bottleneck, **options):
    """Stages of `block`, each after the first with half the image and twice the width; gives their channels."""
    for i, count in enumerate(units):
        gives, stage = width * 2**i * (4 if bottleneck else 1), nn.Sequential()
        for j in range(count):
            stage.add_module(f"unit{j + 1}", block(takes, gives, 2 if i and not j else 1, bottleneck, **options))
            takes = gives
        features.add_module(f"stage{i + 1}", stage)
    return takes


class PreConv(nn.Module):
    def __init__(self, takes, gives, size, stride=1):
        super().__init__()
        self.bn, self.activ, self.conv = nn.BatchNorm2d(takes), nn.ReLU(), conv(takes, gives, size, stride)

    def forward(self, x):
        activated = self.activ(self.bn(x))
        return self.conv(activated), activated


class PreResUnit(nn.Module):
    def __init__(self, takes, gives, stride, bottleneck, strides_first=False):
        super().__init__()
        first = strides_first or not bottleneck
        shapes = body(takes, gives, bottleneck, strides=(stride, 1, 1) if first else (1, stride, 1))
        self.body = nn.Sequential(OrderedDict((f"conv{i}", PreConv(*shape)) for i, shape in enumerate(shapes, 1)))
        self.resizes = stride != 1 or takes != gives
        if self.resizes:
            self.identity_conv = conv(takes, gives, 1, stride)

    def forward(self, x):
        y, activated = self.body.conv1(x)
        for block in list(self.body)[1:]:
            y, _ = block(y)
        return y + (self.identity_conv(activated) if self.resizes else x)


class PytorchcvPreResNet(nn.Module):
    """`width` 1 is PreResNet for CIFAR, more is WRN; with an `init_block` of `takes` channels it is ImageNet's."""

    def __init__(self, units, classes, bottleneck=False, width=1, init_block=None, takes=16, **options):
        super().__init__()
        self.features = nn.Sequential(OrderedDict(init_block=init_block or conv(3, 16, 3)))
        takes = add_stages(self.features, PreResUnit, units, takes, takes * width, bottleneck, **options)
        self.features.add_module("post_activ", post_activation(takes))
        self.features.add_module("final_pool", nn.AdaptiveAvgPool2d(1))
        self.output = nn.Linear(takes, classes)

    def forward(self, x):
        return self.output(self.features(x).flatten(1))


class PreResInitBlock(nn.Sequential):
    def __init__(self, gives):
        pool = nn.MaxPool2d(3, 2, padding=1)
        super().__init__(OrderedDict(conv=conv(3, gives, 7, 2), bn=nn.BatchNorm2d(gives), activ=nn.ReLU(), pool=pool))


def PytorchcvImagenetPreResNet(units, width, classes, **options):
    return PytorchcvPreResNet(units, classes, init_block=PreResInitBlock(width), takes=width, **options)


def post_activation(channels):
    return nn.Sequential(OrderedDict(bn=nn.BatchNorm2d(channels), activ=nn.ReLU()))


class DenseUnit(nn.Module):
    def __init__(self, takes, growth, bottleneck):
        super().__init__()
        if bottleneck:
            self.conv1, self.conv2 = PreConv(takes, 4 * growth, 1), PreConv(4 * growth, growth, 3)
        else:
            self.conv = PreConv(takes, growth, 3)

    def forward(self, x):
        y = x
        for block in self.children():
            y, _ = block(y)
        return torch.cat((x, y), dim=1)


class Transition(nn.Module):
    def __init__(self, takes, gives):
        super().__init__()
        self.conv, self.pool = PreConv(takes, gives, 1), nn.AvgPool2d(2, 2)

    def forward(self, x):
        return self.pool(self.conv(x)[0])


class PytorchcvDenseNet(nn.Module):
    def __init__(self, units, growth, classes, bottleneck):
        super().__init__()
        takes = 2 * growth
        self.features = nn.Sequential(OrderedDict(init_block=conv(3, takes, 3)))
        for i, count in enumerate(units, 1):
            stage = nn.Sequential()
            if i > 1:
                stage.add_module(f"trans{i}", Transition(takes, takes // 2))
                takes //= 2
            for j in range(count):
                stage.add_module(f"unit{j + 1}", DenseUnit(takes, growth, bottleneck))
                takes += growth
            self.features.add_module(f"stage{i}", stage)
        self.features.add_module("post_activ", post_activation(takes))
        self.features.add_module("final_pool", nn.AdaptiveAvgPool2d(1))
        self.output = nn.Linear(takes, classes)

    def forward(self, x):
        return self.output(self.features(x).flatten(1))


# ---------------------------------------------------------------------------------------------------------------------
# torchvision, `models/densenet.py`; timm's `densenet.py` has the same names.


class DenseLayer(nn.Module):
    def __init__(self, takes, growth):
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(takes), conv(takes, 4 * growth, 1)
        self.norm2, self.conv2 = nn.BatchNorm2d(4 * growth), conv(4 * growth, growth, 3)

    def forward(self, x):
        y = self.conv1(F.relu(self.norm1(x)))
        return torch.cat((x, self.conv2(F.relu(self.norm2(y)))), dim=1)


class TorchvisionDenseNet(nn.Module):
    def __init__(self, units, growth, first, classes):
        super().__init__()
        self.features = nn.Sequential(
            OrderedDict(conv0=conv(3, first, 7, 2), norm0=nn.BatchNorm2d(first), relu0=nn.ReLU())
        )
        self.features.add_module("pool0", nn.MaxPool2d(3, 2, padding=1))
        takes = first
        for i, count in enumerate(units, 1):
            block = nn.Sequential()
            for j in range(count):
                block.add_module(f"denselayer{j + 1}", DenseLayer(takes, growth))
                takes += growth
            self.features.add_module(f"denseblock{i}", block)
            if i < len(units):
                layers = OrderedDict(norm=nn.BatchNorm2d(takes), relu=nn.ReLU(), conv=conv(takes, takes // 2, 1))
                self.features.add_module(f"transition{i}", nn.Sequential(layers))
                self.features[-1].add_module("pool", nn.AvgPool2d(2, 2))
                takes //= 2
        self.features.add_module("norm5", nn.BatchNorm2d(takes))
        self.classifier = nn.Linear(takes, classes)

    def forward(self, x):
        return self.classifier(F.relu(self.features(x)).mean((2, 3)))
