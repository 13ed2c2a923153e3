"""What each command does between the command line and the engine: look, ask, act, report.

Each command has a module of its name. Several of them need `execution` (from options to exit code), `session` (which
lab, on which AWS), `report` (results as data), `interrupts`, `admission` (accept, reject) and `diagnosis` (verify).
"""
