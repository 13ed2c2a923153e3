"""PrivateLink: endpoint services of the provider, endpoints of the consumer, and their connections."""
