"""Measurements that are run by hand, of what only a clock can say."""
