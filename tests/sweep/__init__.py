"""plab as a process that is struck: killed, interrupted, met by another one."""
