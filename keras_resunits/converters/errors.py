"""What cannot be converted, said so that the caller can mend it."""


class ConversionError(ValueError):
    """A source that cannot be read, or that does not fit the network; its text says wanted, got and where."""
