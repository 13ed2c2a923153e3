"""The models that botocore loads for plab: the same as for everybody, in less time."""

from __future__ import annotations

import botocore.exceptions
import botocore.loaders
import pytest

from privatelink_lab.aws import credentials


@pytest.mark.parametrize("service", ["ec2", "elbv2", "ssm", "sts", "sso", "sso-oidc"])
def test_it_loads_the_model_of_a_service(service: str) -> None:
    """Every service that plab or its credentials call has the model that botocore itself loads."""
    ours, plain = credentials._models(None), botocore.loaders.Loader()
    assert ours.load_service_model(service, "service-2") == plain.load_service_model(service, "service-2")


@pytest.mark.parametrize(("service", "type_name"), [("no-such-service", "service-2"), ("sts", "waiters-2")])
def test_a_model_that_does_not_exist_is_refused(service: str, type_name: str) -> None:
    """A service without a folder, or a folder without that model, is refused by an error of botocore."""
    with pytest.raises(botocore.exceptions.DataNotFoundError):
        credentials._models(None).load_service_model(service, type_name)
