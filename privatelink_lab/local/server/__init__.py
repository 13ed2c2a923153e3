"""The HTTP server and the path of a request: `http` reads it, `local_aws` has the list, `auth` and `dispatch` act."""
