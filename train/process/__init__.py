"""The process and its machine: errors and exit codes, files, startup, memory."""
