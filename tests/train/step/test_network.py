"""The names and the depth of a network are checked before any image is read."""

from __future__ import annotations

import pytest

from train.process.errors import BadInput
from train.settings.sections import Network
from train.step.network import check_network


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"depth": 21}, r"no network of depth 21.*Nearest: 18, 20, 26"),
        ({"model": "WideResNet", "depth": 29}, r"Nearest: 28, 34"),
        ({"model": "ResNett"}, r"ResNett.*Did you mean 'ResNet'"),
        ({"order": "post"}, r"unknown order 'post'"),
        ({"model": "FullyConnectedResNet", "stem": "cifar"}, r"--stem=cifar has no effect on --model=Full"),
    ],
)
def test_a_network_that_does_not_exist_is_refused(values, text):
    with pytest.raises(BadInput, match=text):
        check_network(Network(**values))


@pytest.mark.parametrize("values", [{}, {"depth": 20}, {"model": "WideResNet", "depth": 16, "order": "post_act"}])
def test_a_network_that_exists_is_not_built_to_check_it(values):
    check_network(Network(**values))
