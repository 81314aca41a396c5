"""An answer of a test server that is an error."""


class ServerError(Exception):
    """A code of gRPC, and a text."""

    def __init__(self, code: str, text: str):
        super().__init__(text)
        self.code, self.text = code, text
