"""The HTTP server, and the path of a request: `http`, `local_aws`, `auth`, `dispatch`."""
