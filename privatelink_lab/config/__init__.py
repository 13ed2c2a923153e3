"""The config file: its keys and defaults, and a report of all its mistakes with file and line.

The only package that knows pydantic (`models`, `load`) and YAML (`yaml_lines`). Nothing here calls AWS.
"""

from privatelink_lab.config.field_types import ACCOUNT_ID
from privatelink_lab.config.load import DEFAULT_FILE, load, of_name, parse
from privatelink_lab.config.models import (
    DEFAULT_LAB,
    PROVIDER,
    Config,
    Consumer,
    Customer,
    default_config,
)
from privatelink_lab.config.pack import Pack, load_pack
from privatelink_lab.config.provider import Provider, Service, Vpc

__all__ = [
    "ACCOUNT_ID",
    "DEFAULT_FILE",
    "DEFAULT_LAB",
    "PROVIDER",
    "Config",
    "Consumer",
    "Customer",
    "Pack",
    "Provider",
    "Service",
    "Vpc",
    "default_config",
    "load",
    "load_pack",
    "of_name",
    "parse",
]
