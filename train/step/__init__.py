"""The parts of a training step: network, loss, optimiser, averages."""
