"""Tests of privatelink_lab.steps."""
