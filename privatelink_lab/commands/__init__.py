"""What each command does, between the command line and the engine: look, ask, act, report. One module each."""
