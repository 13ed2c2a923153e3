"""Tests of the parts that all services share."""
