"""Tests of the plan of the network and its ports."""
