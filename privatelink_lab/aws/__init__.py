"""The one door to boto3: accounts, clients, error translation, and reading `Unsuccessful`.

Everything that leaves here speaks plab's errors; no other module imports boto3 or botocore.
"""

from privatelink_lab.aws.account import Account, Address
from privatelink_lab.aws.credentials import connect, known_regions
from privatelink_lab.aws.error_translation import errors_by_id, unsuccessful

__all__ = ["Account", "Address", "connect", "errors_by_id", "known_regions", "unsuccessful"]
