"""ELBv2: network load balancers, listeners and target groups."""
