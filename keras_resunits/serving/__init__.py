"""From a model to what a server answers from. TensorFlow only."""
