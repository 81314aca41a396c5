"""Every network by name, with its published figures."""
