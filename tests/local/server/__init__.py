"""Tests of the HTTP server and the path of a request."""
