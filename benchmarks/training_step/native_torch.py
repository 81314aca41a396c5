"""PreActResNet in native PyTorch, for images in `channels_last` memory."""

import torch
from torch import nn
from torch.nn import functional as F


def _conv(in_filters, filters, size, stride=1):
    return nn.Conv2d(in_filters, filters, size, stride, padding=size // 2, bias=False)


class Basic(nn.Module):
    """He et al. 2016's basic unit; in the first one of a stage both paths share norm and activation.

    Where the shape changes, the shortcut has every second pixel, and channels of zeros.
    """

    def __init__(self, in_filters, filters, stride, first):
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(in_filters), _conv(in_filters, filters, 3, stride)
        self.norm2, self.conv2 = nn.BatchNorm2d(filters), _conv(filters, filters, 3)
        self.stride, self.more, self.first = stride, filters - in_filters, first

    def forward(self, x):
        z = F.relu(self.norm1(x))
        shortcut = z if self.first else x
        if self.more:
            shortcut = F.pad(shortcut[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.more))
        return shortcut + self.conv2(F.relu(self.norm2(self.conv1(z))))


class Bottleneck(nn.Module):
    """He et al. 2016's bottleneck unit; in the first one of a stage both paths share norm and activation."""

    def __init__(self, in_filters, filters, stride, first):
        super().__init__()
        narrow = filters // 4
        self.norm1, self.conv1 = nn.BatchNorm2d(in_filters), _conv(in_filters, narrow, 1, stride)
        self.norm2, self.conv2 = nn.BatchNorm2d(narrow), _conv(narrow, narrow, 3)
        self.norm3, self.conv3 = nn.BatchNorm2d(narrow), _conv(narrow, filters, 1)
        self.project = _conv(in_filters, filters, 1, stride) if first else None

    def forward(self, x):
        z = F.relu(self.norm1(x))
        shortcut = x if self.project is None else self.project(z)
        y = self.conv1(z)
        y = self.conv2(F.relu(self.norm2(y)))
        y = self.conv3(F.relu(self.norm3(y)))
        return shortcut + y


class PreActResNet(nn.Module):
    """`[batch, 3, 32, 32]` to logits `[batch, 10]`; at depth 164 1,703,258 parameters.

    Args:
        depth: 9n + 2, or 6n + 2 with basic units.
        basic: Whether units are basic, of 16 to 64 filters, or bottlenecks, of 64 to 256 (default).
    """

    def __init__(self, depth, basic=False):
        super().__init__()
        unit, layers, stages = (Basic, 6, (16, 32, 64)) if basic else (Bottleneck, 9, (64, 128, 256))
        units, in_filters = [], 16
        for filters in stages:
            for i in range((depth - 2) // layers):
                units.append(unit(in_filters, filters, stride=2 if i == 0 and units else 1, first=i == 0))
                in_filters = filters
        self.stem = _conv(3, 16, 3)
        self.units = nn.Sequential(*units)
        self.norm = nn.BatchNorm2d(in_filters)
        self.classifier = nn.Linear(in_filters, 10)

    def forward(self, x):
        x = F.relu(self.norm(self.units(self.stem(x))))
        return self.classifier(x.mean((2, 3)))


def compile_step(depth: int, bfloat16: bool):
    """One training step, `(images, labels) -> loss`, with the papers' SGD."""
    model = PreActResNet(depth).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4)

    def step(images, labels):
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            loss = F.cross_entropy(model(images).float(), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step
