"""The error of a failed conversion."""

from __future__ import annotations

from collections.abc import Sequence


class ConversionError(ValueError):
    """Raised if weights cannot be read or do not fit a network; the text states what was wanted, found and where.

    Attributes:
        missing: All names that the network requires and the source lacks, if that is the reason; the text lists 12.
        unused: All names of the source that have no place in the network, likewise.
    """

    def __init__(self, text: str, missing: Sequence[str] = (), unused: Sequence[str] = ()):
        super().__init__(text)
        self.missing, self.unused = list(missing), list(unused)
