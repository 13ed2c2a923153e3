"""`shutdown`, `poweroff`, `halt` and `reboot` inside an instance, which has no systemd to ask.

The text of this file is put there as a program under each of these names. Times are `now` and `+MINUTES`.
"""

import ctypes
import os
import sys
import time

RESTART, POWER_OFF = 0x01234567, 0x4321FEDC


def main(name: str, words: list[str]) -> None:
    """End this PID namespace, which tells its maker why it ended; with a time to wait, in the background."""
    restart = name == "reboot" or "-r" in words
    minutes = next((int(each[1:]) for each in words if each.startswith("+") and each[1:].isdecimal()), 0)
    if minutes and os.fork():
        return
    time.sleep(60 * minutes)
    os.sync()
    ctypes.CDLL(None).reboot(RESTART if restart else POWER_OFF)


if __name__ == "__main__":
    main(sys.argv[0].rpartition("/")[2], sys.argv[1:])
