"""What a run is asked to do: typed records, and the flags and files that are made from them."""
