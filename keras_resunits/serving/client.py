"""The client under this package's name; `keras_resunits_client` is the same without the import of Keras.

`python -m keras_resunits.serving.client --help` is the command `keras-resunits-client`.
"""

from keras_resunits_client import Answer, Client, ClientError, DeadlineExceeded, Refused, Retries, Unavailable
from keras_resunits_client.__main__ import entry

__all__ = ["Answer", "Client", "ClientError", "DeadlineExceeded", "Refused", "Retries", "Unavailable"]

if __name__ == "__main__":
    entry()
