"""Every network by name, with what was published of it."""
