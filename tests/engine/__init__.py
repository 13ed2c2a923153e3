"""Tests of privatelink_lab.engine."""
