"""What a built network is made of and does; nothing here changes it."""
