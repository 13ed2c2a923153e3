"""From the objects of the services to the network that should exist, and from the network back to them."""
