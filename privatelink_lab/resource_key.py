"""The key of a resource, in the state, in tags and on the screen: `acme/endpoint`."""


def make_key(party: str, name: str) -> str:
    """The key of a party's resource."""
    return f"{party}/{name}"


def split_key(key: str) -> tuple[str, str]:
    """The party and the name of a key: `provider` or the consumer's name, and what is its own."""
    party, _, name = key.partition("/")
    return party, name
