"""What a client may meet; each text is one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class ClientError(Exception):
    """A mistake that the user can fix, or a server that cannot be used; the command exits with 2."""


class Refused(ClientError):
    """The server answered that it cannot do this; sending it again would not help."""


class Unavailable(ClientError):
    """The server cannot be reached, or is too busy; worth another attempt."""


class DeadlineExceeded(ClientError):
    """No answer within the deadline."""


@contextmanager
def understood(protocol: str) -> Iterator[None]:
    """Report an answer of another form than the protocol's.

    Raises:
        Refused: in place of what reading the answer raised.

    >>> with understood("KServe v2"):
    ...     {}["name"]
    Traceback (most recent call last):
    keras_resunits_client.errors.Refused: the server's answer is not KServe v2: KeyError: 'name'
    """
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise Refused(f"the server's answer is not {protocol}: {type(error).__name__}: {one_line(error)}") from error


def one_line(text: object) -> str:
    """A text of others on one line, without a full stop.

    >>> one_line("No such\\n  model. ")
    'No such model'
    """
    return " ".join(str(text).split()).rstrip(".")
