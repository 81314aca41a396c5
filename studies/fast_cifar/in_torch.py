"""The recipe of `train/configs/fast_cifar.py` in PyTorch: the same network, images, sizes, rates and precision.

    python -m studies.fast_cifar.in_torch FOLDER --seed=0

FOLDER has train/CLASS/* and test/CLASS/*. It prints a line for each epoch; the last one has the test accuracy, and that
of the mean over mirrored images.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `benchmarks`, from whatever folder it is started

from benchmarks.training_step.native_torch import preact_basic
from train.configs.fast_cifar import config

PAD = 4


def pixels(folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """All images of a split, uint8 `[n, height, width, 3]`, and their classes."""
    classes = sorted(each for each in folder.iterdir() if each.is_dir())
    files = [(path, number) for number, each in enumerate(classes) for path in sorted(each.iterdir())]
    images = np.stack([np.asarray(Image.open(path).convert("RGB")) for path, _ in files])
    return torch.from_numpy(images), torch.tensor([number for _, number in files])


def network(depth: int) -> nn.Module:
    """PreActResNet, initialised as He et al. 2015 do."""
    model = preact_basic(depth)
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
    return model.to(memory_format=torch.channels_last)


def rate(done: float, highest: float) -> float:
    """The rate of Smith's 1cycle after a part of the run."""
    return float(np.interp(done, (0, 0.45, 0.9, 1), (0.1 * highest, highest, 0.1 * highest, 0.001 * highest)))


def cropped(padded: torch.Tensor, chosen: torch.Tensor, side: int) -> torch.Tensor:
    """Windows of padded images at random places, half of them mirrored."""
    count, along = len(chosen), torch.arange(side)
    top, left = (torch.randint(0, 2 * PAD + 1, (count, 1)) for _ in range(2))
    columns = left + torch.where(torch.rand(count, 1) < 0.5, along.flip(0), along)
    return padded[chosen[:, None, None], (top + along)[:, :, None], columns[:, None, :]]


class Normalized:
    """uint8 `[n, height, width, 3]` to the network's images, resized to a side.

    Args:
        images: Those whose mean and deviation by channel are taken.
    """

    def __init__(self, images: torch.Tensor):
        values = images.reshape(-1, 3).numpy()
        self.mean, self.deviation = (torch.tensor(f(values, axis=0), dtype=torch.float32) for f in (np.mean, np.std))

    def __call__(self, images: torch.Tensor, side: int) -> torch.Tensor:
        x = ((images.float() - self.mean) / self.deviation).permute(0, 3, 1, 2)
        return x if x.shape[-1] == side else F.interpolate(x, (side, side), mode="bilinear", align_corners=False)


def accuracies(model, normalized, images, labels) -> tuple[float, float]:
    """The share of right answers, and that of the mean over mirrored images."""
    model.eval()
    plain, mean = [], []
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        for part in images.split(500):
            x = normalized(part, images.shape[1])
            one, other = (model(each).float().softmax(1) for each in (x, x.flip(3)))
            plain.append(one.argmax(1))
            mean.append((one + other).argmax(1))
    model.train()
    return tuple((torch.cat(each) == labels).float().mean().item() for each in (plain, mean))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=config()["epochs"])
    parser.add_argument("--depth", type=int, default=config()["depth"])
    parser.add_argument("--batch", type=int, default=config()["batch_size"])
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    recipe, batch, sizes = config(), args.batch, config()["sizes"]
    (images, labels), tested = pixels(args.folder / "train"), pixels(args.folder / "test")
    normalized, model, began = Normalized(images), network(args.depth), time.perf_counter()
    mean = normalized.mean.round().to(torch.uint8)
    padded = mean.repeat(len(images), images.shape[1] + 2 * PAD, images.shape[2] + 2 * PAD, 1)
    padded[:, PAD:-PAD, PAD:-PAD] = images
    optimizer = torch.optim.SGD(
        model.parameters(), recipe["learning_rate"], 0.9, nesterov=True, weight_decay=recipe["weight_decay"]
    )
    steps = len(images) // batch
    for epoch in range(args.epochs):
        total, shuffled = 0.0, torch.randperm(len(images))
        for i in range(steps):
            done = (epoch * steps + i) / (args.epochs * steps)
            chosen = shuffled[i * batch : (i + 1) * batch]
            for group in optimizer.param_groups:
                group["lr"] = rate(done, recipe["learning_rate"])
            x = normalized(cropped(padded, chosen, images.shape[1]), sizes[int(done * len(sizes))])
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16):
                loss = F.cross_entropy(model(x.contiguous(memory_format=torch.channels_last)).float(), labels[chosen])
            loss.backward()
            optimizer.step()
            total += loss.item()
        plain, flipped = accuracies(model, normalized, *tested)
        seconds = time.perf_counter() - began
        print(
            f"epoch {epoch + 1}/{args.epochs}  loss {total / steps:.4f}  test accuracy {plain:.2%}  "
            f"mirrored {flipped:.2%}  {seconds:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
