"""What one step is: network, loss, optimiser, averages."""
