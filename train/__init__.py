"""The training program, from images to a served model: `python -m train --help`."""
