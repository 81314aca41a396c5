"""Analysis of a built network, which leaves the network unchanged."""
