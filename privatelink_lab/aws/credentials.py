"""Whose credentials act where: the environment's, a profile's, a role's, or a local server's keys."""

from __future__ import annotations

import difflib
import functools
import getpass
import hashlib
import os
import re
from pathlib import Path
from typing import Any, cast

import boto3
import botocore.credentials
import botocore.exceptions
import botocore.loaders
import botocore.session

from privatelink_lab.aws.account import RETRIES, Account, Address, client_config
from privatelink_lab.aws.client_side_errors import client_side_error
from privatelink_lab.aws.error_translation import translated
from privatelink_lab.errors import UsageError

REGION = ("region", ["AWS_REGION", "AWS_DEFAULT_REGION"], None, None)  # as the AWS CLI; botocore knows the latter only


class _Models(botocore.loaders.Loader):
    """botocore's loader, without its look into the folders of all 400 services: that takes 25 ms of every start."""

    def list_available_services(self, type_name: str) -> list[str]:
        """The name of every folder; one without a model of that type is refused when it is loaded."""
        places = (Path(place) for place in self.search_paths)
        return [folder.name for place in places if place.is_dir() for folder in place.iterdir()]


@functools.cache
def _models(data_path: str | None) -> botocore.loaders.Loader:
    """One for all sessions: service models are large (EC2's takes 0.1 s and 25 MB), and are read once."""
    places = botocore.loaders.create_loader(data_path).search_paths
    return _Models(extra_search_paths=places, include_default_search_paths=False)


def _bare_session() -> botocore.session.Session:
    """A botocore session that reads neither AWS_PROFILE nor the shared files."""
    nothing: dict[str, Any] = {"profile": None, "config_file": "", "credentials_file": "", "ca_bundle": None}
    session = botocore.session.Session(session_vars={name: (None, [], value, None) for name, value in nothing.items()})
    session.register_component("data_loader", _models(None))
    return session


@functools.cache
def known_regions() -> tuple[str, ...]:
    """The names of all regions with EC2 that the installed botocore knows, in every partition."""
    session = _bare_session()
    partitions = session.get_available_partitions()
    return tuple(sorted({r for p in partitions for r in session.get_available_regions("ec2", p)}))


def connect(
    *, profile: str | None, role_arn: str | None, region: str | None, address: Address | None = None
) -> Account:
    """The account that these credentials reach; no call goes out before the account is used.

    With an `address`, the environment's profiles, proxies and CA bundles do not count, and a profile stands for an
    account of its own there. Raises AccountError (unknown profile) or UsageError (no region).
    """
    if address and profile and not role_arn:
        role_arn = _account_for(profile)
    session = _session(profile, address)
    region = region or (session.get_config_variable("region") if not address else "us-east-1")
    if not region:
        hint = "Put `region:` into the config, or set AWS_REGION."
        raise UsageError("There is no AWS region.", hint=hint)
    if not address and "AWS_ENDPOINT_URL" not in os.environ:
        _refuse_unknown(region)
    if role_arn:
        _assume(session, role_arn, region, address)
    return Account(boto3.Session(botocore_session=session), region, address, role_arn)


def _refuse_unknown(region: str) -> None:
    """Raise UsageError for a name that no region has, such as that of a zone, before anything is called."""
    known = known_regions()
    if region not in known:
        close = difflib.get_close_matches(region, known, n=1)
        text = f"{region!r} is not an AWS region" + (f"; did you mean {close[0]}?" if close else ".")
        raise UsageError(text, hint="It comes from `region:`, AWS_REGION or the profile.")


def _session(profile: str | None, address: Address | None) -> botocore.session.Session:
    if address:
        session = _bare_session()
        session.set_credentials(address.access_key_id, address.secret_access_key)
        return session
    with translated("session", "load_profile", profile=profile or ""):
        session = botocore.session.Session(session_vars={"region": REGION}, profile=profile)
        session.register_component("data_loader", _models(session.get_config_variable("data_path")))
        session.get_component("credential_provider").get_provider("assume-role")._prompter = _mfa_code  # noqa: SLF001
        session.get_scoped_config()  # an unknown profile is reported now, not at the first call
        return session


def _mfa_code(question: str) -> str:
    """The answer to botocore's question for an MFA code; raises EOFError where there is nobody to ask."""
    try:
        Path("/dev/tty").open().close()
    except OSError:
        raise EOFError from None
    return getpass.getpass(question)


def _account_for(profile: str) -> str:
    digits = int(hashlib.sha256(profile.encode()).hexdigest(), 16) % 10**11
    name = re.sub(r"[^\w+=,.@-]", "-", profile)
    return f"arn:aws:iam::2{digits:011d}:role/{name}"


def _assume(session: botocore.session.Session, role_arn: str, region: str, address: Address | None) -> None:
    """Replace the session's credentials by those of the role, fetched at the first call and renewed in time."""
    with translated("sts", "assume_role", profile=session.profile or ""):
        credentials = session.get_credentials()
    if credentials is None:
        raise client_side_error("AssumeRole", botocore.exceptions.NoCredentialsError())
    create_sts = functools.partial(
        session.create_client,
        region_name=region,
        endpoint_url=address.url if address else None,
        config=client_config(address, RETRIES),
    )
    fetcher = botocore.credentials.AssumeRoleCredentialFetcher(
        create_sts, credentials, role_arn, extra_args={"RoleSessionName": "plab"}
    )
    # botocore has no public setter for renewable credentials; its own assume-role provider does the same.
    cast("Any", session)._credentials = botocore.credentials.DeferredRefreshableCredentials(  # noqa: SLF001
        fetcher.fetch_credentials, "assume-role"
    )
