"""`shutdown`, `poweroff`, `halt` and `reboot` inside an instance, which has no systemd.

The text of this file is installed in the instance as a program under each of these names. Times are `now` and
`+MINUTES`.
"""

import ctypes
import os
import sys
import time

RESTART, POWER_OFF = 0x01234567, 0x4321FEDC


def main(name: str, arguments: list[str]) -> None:
    """End this PID namespace, whose parent process sees why it ended; with a delay, in the background."""
    restart = name == "reboot" or "-r" in arguments
    minutes = next((int(text[1:]) for text in arguments if text.startswith("+") and text[1:].isdecimal()), 0)
    if minutes and os.fork():
        return
    time.sleep(60 * minutes)
    os.sync()
    ctypes.CDLL(None).reboot(RESTART if restart else POWER_OFF)


if __name__ == "__main__":
    main(sys.argv[0].rpartition("/")[2], sys.argv[1:])
