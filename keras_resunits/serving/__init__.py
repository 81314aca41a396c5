"""Export of models for serving, with TensorFlow only."""
