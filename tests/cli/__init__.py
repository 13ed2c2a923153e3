"""The command line: options, exit codes, stdout and stderr."""
