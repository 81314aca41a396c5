"""The orders of He et al. 2016, Fig. 4, with their letters there, and the pre-activations of other families."""

from __future__ import annotations

from keras_resunits.units.orders.order import ORDERS, Layers, Order, PreAct


def _post_activated(order: Order, weights) -> Layers:
    """Return the weight layers, each but the last followed by norm and activation."""
    *inner, last = weights
    return [*(layer for i, weight in enumerate(inner, 1) for layer in (weight, *order.norm_act(i))), last]


class PostAct(Order):
    """(a) original: conv BN ReLU conv BN, add, ReLU (He et al. 2015).

    Example:

    >>> import keras_resunits as kr
    >>> row = kr.describe(kr.ResNet(depth=8, order=kr.PostAct()))[1]
    >>> row.e, row.F, row.f
    ('id', 'conv3 norm act conv3 norm', 'act')
    """

    def branch(self, weights, slot):
        return [*_post_activated(self, weights), self.norm(name=f"norm{len(weights)}")]

    def exit(self, slot):
        return [self.activation(name="act")]


class BnAfterAdd(Order):
    """(b) BN after addition: conv BN ReLU conv, add, BN ReLU.

    A projection has no norm of its own: like the branch's last weights, it is normalised after the addition.

    Example:

    >>> import keras_resunits as kr
    >>> row = kr.describe(kr.ResNet(depth=8, order=kr.BnAfterAdd()))[1]
    >>> row.e, row.F, row.f
    ('id', 'conv3 norm act conv3', 'norm act')
    """

    def branch(self, weights, slot):
        return _post_activated(self, weights)

    def projection(self, weight):
        return [weight]

    def exit(self, slot):
        return self.norm_act()


class ReluBeforeAdd(Order):
    """(c) ReLU before addition: conv BN ReLU conv BN ReLU, add.

    Example:

    >>> import keras_resunits as kr
    >>> row = kr.describe(kr.ResNet(depth=8, order=kr.ReluBeforeAdd()))[1]
    >>> row.e, row.F, row.f
    ('id', 'conv3 norm act conv3 norm act', 'id')
    """

    def branch(self, weights, slot):
        return [layer for i, weight in enumerate(weights, 1) for layer in (weight, *self.norm_act(i))]


class ReluOnlyPreAct(PreAct):
    """(d) ReLU-only pre-activation: ReLU conv BN ReLU conv BN, add.

    Example:

    >>> import keras_resunits as kr
    >>> row = kr.describe(kr.PreActResNet(depth=[2, 2, 2], order=kr.ReluOnlyPreAct()))[2]
    >>> row.e, row.F, row.f
    ('id', 'act conv3 norm act conv3 norm', 'id')
    """

    def shares(self, slot):
        return slot.changes_shape

    def pre_activation(self, i=""):
        return [self.activation(name=f"act{i}")]

    def post_weight(self, i=""):
        return [self.norm(name=f"norm{i}")]


class FullPreAct(PreAct):
    """(e) full pre-activation: BN ReLU conv BN ReLU conv, add.

    This is the order with the identity mappings of the paper's title.

    Example:

    >>> import keras_resunits as kr
    >>> row = kr.describe(kr.PreActResNet(depth=[2, 2, 2], order=kr.FullPreAct()))[2]
    >>> row.e, row.F, row.f
    ('id', 'norm act conv3 norm act conv3', 'id')
    """

    def shares(self, slot):
        return slot.changes_shape


class PreActBranch(PreAct):
    """Full pre-activation inside the branch only; the carry stays raw (Huang et al. 2017, DenseNet, sec. 3).

    Example:

    >>> import keras_resunits as kr
    >>> slot = kr.Slot(index=1, total=3, in_filters=16, filters=32, strides=2)
    >>> kr.PreActBranch().entry(slot), len(kr.FullPreAct().entry(slot))
    ([], 2)
    """

    @property
    def raw_stem(self):
        return True

    def shares(self, slot):
        return False


class PreActOnWidening(PreAct):
    """Full pre-activation, shared where the filters change but not where only the stride does (`keras.applications`).

    Example:

    >>> import keras_resunits as kr
    >>> halved = kr.Slot(index=1, total=3, in_filters=16, filters=16, strides=2)
    >>> kr.PreActOnWidening().shares(halved), kr.FullPreAct().shares(halved)
    (False, True)
    """

    def shares(self, slot):
        return slot.in_filters != slot.filters


ORDERS |= {
    "post_act": PostAct(),
    "bn_after_add": BnAfterAdd(),
    "relu_before_add": ReluBeforeAdd(),
    "relu_only_pre_act": ReluOnlyPreAct(),
    "full_pre_act": FullPreAct(),
    "pre_act_branch": PreActBranch(),
    "pre_act_on_widening": PreActOnWidening(),
}
