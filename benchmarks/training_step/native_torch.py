"""The benchmark's networks in native PyTorch, for images in `channels_last` memory."""

from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn import functional as F


def _conv(in_filters, filters, size, stride=1):
    return nn.Conv2d(in_filters, filters, size, stride, padding=size // 2, bias=False)


def _norm(filters):
    return nn.Sequential(nn.BatchNorm2d(filters), nn.ReLU())


def _basic(in_filters, filters, stride):
    return nn.Sequential(_conv(in_filters, filters, 3, stride), _norm(filters), _conv(filters, filters, 3))


def _bottleneck(in_filters, filters, stride):
    narrow = filters // 4
    first, last = _conv(in_filters, narrow, 1, stride), _norm(narrow)
    return nn.Sequential(first, last, _conv(narrow, narrow, 3), _norm(narrow), _conv(narrow, filters, 1))


def _projection(in_filters, filters, stride):
    return _conv(in_filters, filters, 1, stride)


class _Padding(nn.Module):
    """Every second pixel where the stride is 2, and zeros for new channels."""

    def __init__(self, in_filters, filters, stride):
        super().__init__()
        self.more, self.stride = filters - in_filters, stride

    def forward(self, z):
        return F.pad(z[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.more)) if self.more else z


class _Unit(nn.Module):
    """He et al. 2016's unit; in the first one of a stage both paths share norm and activation."""

    def __init__(self, in_filters, branch: nn.Module, shortcut: nn.Module | None):
        super().__init__()
        self.norm, self.branch, self.shortcut = _norm(in_filters), branch, shortcut

    def forward(self, x):
        z = self.norm(x)
        return (x if self.shortcut is None else self.shortcut(z)) + self.branch(z)


class _DenseUnit(nn.Module):
    def __init__(self, in_filters, growth):
        super().__init__()
        narrow = 4 * growth
        self.branch = nn.Sequential(
            _norm(in_filters), _conv(in_filters, narrow, 1), _norm(narrow), _conv(narrow, growth, 3)
        )

    def forward(self, x):
        return torch.cat([x, self.branch(x)], 1)


class _Classifier(nn.Module):
    def __init__(self, in_filters):
        super().__init__()
        self.norm, self.dense = _norm(in_filters), nn.Linear(in_filters, 10)

    def forward(self, x):
        return self.dense(self.norm(x).mean((2, 3)))


def _residual(units: int, stages: Sequence[int], branch: Callable, shortcut: Callable) -> nn.Module:
    layers, in_filters = [_conv(3, 16, 3)], 16
    for filters in stages:
        for i in range(units):
            shape = (in_filters, filters, 2 if i == 0 and filters > stages[0] else 1)
            layers.append(_Unit(in_filters, branch(*shape), shortcut(*shape) if i == 0 else None))
            in_filters = filters
    return nn.Sequential(*layers, _Classifier(in_filters))


def preact_bottleneck(depth: int) -> nn.Module:
    """PreActResNet of depth 9n + 2: `[batch, 3, 32, 32]` to logits `[batch, 10]`."""
    return _residual((depth - 2) // 9, (64, 128, 256), _bottleneck, _projection)


def preact_basic(depth: int) -> nn.Module:
    """PreActResNet of depth 6n + 2, with zeros for new channels."""
    return _residual((depth - 2) // 6, (16, 32, 64), _basic, _Padding)


def wide(depth: int) -> nn.Module:
    """WRN of depth 6n + 4 and width 4."""
    return _residual((depth - 4) // 6, (64, 128, 256), _basic, _projection)


def dense(depth: int) -> nn.Module:
    """DenseNet-BC of depth 6n + 4 and growth 12."""
    layers, filters = [_conv(3, 24, 3)], 24
    for block in range(3):
        for _ in range((depth - 4) // 6):
            layers.append(_DenseUnit(filters, 12))
            filters += 12
        if block < 2:
            layers += [_norm(filters), _conv(filters, filters // 2, 1), nn.AvgPool2d(2)]
            filters //= 2
    return nn.Sequential(*layers, _Classifier(filters))


NETWORKS = {each.__name__: each for each in (preact_bottleneck, preact_basic, wide, dense)}


def compile_step(network: str, depth: int, bfloat16: bool):
    """One training step, `(images, labels) -> loss`, with the papers' SGD."""
    model = NETWORKS[network](depth).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4)

    def step(images, labels):
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            loss = F.cross_entropy(model(images).float(), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step
