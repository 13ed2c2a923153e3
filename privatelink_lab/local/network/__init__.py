"""Real packets for the local AWS: every VPC is a network namespace, every instance a small machine in it.

`link` is the server's end: it starts the carrier, a process of its own, and shows it the `picture` of what should be.
The carrier (`carrier`, `wiring`, `relay`, `health`, `machine`, `boot`) makes it so, and tells what happens there.
"""
