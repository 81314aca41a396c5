"""The settings of a run: typed records, and the flags and files made from them."""
