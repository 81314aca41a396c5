"""The training program: from images to a served answer. `python -m train --help`."""
