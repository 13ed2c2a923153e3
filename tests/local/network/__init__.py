"""Tests of the data plane's parts, without namespaces."""
