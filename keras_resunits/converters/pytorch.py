"""Weights of PyTorch checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from keras_resunits.arguments import resolve
from keras_resunits.converters.architectures import require_known_arithmetic
from keras_resunits.converters.carry import carry, nearest_layout
from keras_resunits.converters.checkpoints import read_checkpoint, state_of
from keras_resunits.converters.heads import Told
from keras_resunits.converters.layouts import TORCH_LAYOUTS, Layout


def load_torch_weights(
    model: keras.Model,
    source: str | Path | Mapping[str, Any],
    layout: str | Layout | None = None,
    on_other_head: Told | None = None,
) -> str:
    """Load the weights of a PyTorch network into `model`, so that both return the same logits.

    Args:
        model: The same network, made by this package; changed in place.
        source: A file as for `read_checkpoint`, or a state dict. Names may have the prefix `module.`, and
            the dict may be stored under `state_dict` or `model`.
        layout: A name of `TORCH_LAYOUTS`, such as "torchvision_resnet" (timm's too) or "akamaster_resnet", or a
            `Layout`. Defaults to the one that matches most of the names.
        on_other_head: A function that is called with one line where the source's head is for other classes, or it has
            none: the head of `model` then stays as it is. Where `model` has no head, that of the source is left out.
            Defaults to `None`, which refuses such a source.

    Returns:
        The layout's name.

    Raises:
        ConversionError: if a file cannot be read, weights are left over on either side, shapes differ, or the network
            computes something other than the weights require, or if most names are of no known layout. The model is
            unchanged then.
        ValueError: if the layout is unknown.

    Example:

    >>> import keras_resunits as kr
    >>> from keras_resunits.converters import load_torch_weights
    >>> load_torch_weights(kr.ResNet(depth=20), "resnet20.onnx")
    Traceback (most recent call last):
    keras_resunits.converters.errors.ConversionError: a PyTorch checkpoint ends in .pt, .pth, .th, .pth.tar,
    .ckpt, .bin, .safetensors. Received: 'resnet20.onnx'.
    """
    chosen = None if layout is None else resolve("layout", layout, TORCH_LAYOUTS, Layout)
    if isinstance(source, Mapping):
        where = "the state dict"
        require_known_arithmetic(source, where)
        theirs = state_of(source)
    else:
        theirs, where = read_checkpoint(source), f"'{source}'"
    chosen = chosen or nearest_layout(model, theirs, list(TORCH_LAYOUTS.values()), where)
    carry(model, theirs, chosen, where, on_other_head)
    return chosen.name
