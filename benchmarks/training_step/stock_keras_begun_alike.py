"""The network of stock Keras layers, begun as the training program begins."""

from train.process.startup import importing

with importing():
    import keras  # noqa: F401

    from train.process.startup import trace_lightly

    from . import stock_keras


def compile_step(network: str, depth: int):
    """`stock_keras`' step."""
    trace_lightly()
    return stock_keras.compile_step(network, depth)
