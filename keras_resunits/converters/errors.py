"""What a conversion cannot do."""

from __future__ import annotations

from collections.abc import Sequence


class ConversionError(ValueError):
    """Weights that cannot be read, or that are not those of the network: the text says wanted, got and where.

    Attributes:
        missing: Every name that the network wants and the source has not, where that is the reason (the text has 12).
        unused: Every name of the source that has no place in the network, likewise.
    """

    def __init__(self, text: str, missing: Sequence[str] = (), unused: Sequence[str] = ()):
        super().__init__(text)
        self.missing, self.unused = list(missing), list(unused)
