"""The local AWS: moto behind a guarded server on 127.0.0.1, with PrivateLink and time added.

This is the only folder that imports moto. `launch` is what the command line calls; it imports
neither moto nor anything else that is slow.
"""
