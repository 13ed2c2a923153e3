"""EC2: VPCs, security groups, network interfaces and instances."""
