"""VPCs, subnets and security groups: what keeps what from being deleted."""

from __future__ import annotations

import pytest
from support.aws_resources import ServiceLab, add_group, code_of, network, outcome
from support.contract_aws import ContractCloud

UNKNOWN = "0123456789abcdef0"


@pytest.mark.contract
def test_an_endpoint_holds_its_subnet_and_groups(lab: ServiceLab) -> None:
    """DependencyViolation for subnet, group and VPC, also while the endpoint is deleting; then they go."""
    ec2, request = lab.ec2, lab.request()
    group = add_group(ec2, request["VpcId"])
    endpoint = lab.connect(**(request | {"SecurityGroupIds": [group]}))
    subnet, vpc = request["SubnetIds"][0], request["VpcId"]
    assert code_of(ec2.delete_subnet, SubnetId=subnet) == "DependencyViolation"
    assert code_of(ec2.delete_security_group, GroupId=group) == "DependencyViolation"
    assert code_of(ec2.delete_vpc, VpcId=vpc) == "DependencyViolation"
    ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint])
    assert code_of(ec2.delete_subnet, SubnetId=subnet) == "DependencyViolation"
    assert code_of(ec2.delete_security_group, GroupId=group) == "DependencyViolation"
    lab.cloud.until(lambda: outcome(ec2.delete_subnet, SubnetId=subnet), "")
    lab.cloud.until(lambda: outcome(ec2.delete_security_group, GroupId=group), "")
    lab.cloud.until(lambda: outcome(ec2.delete_vpc, VpcId=vpc), "")


@pytest.mark.contract
def test_a_user_cannot_delete_an_endpoints_interface(lab: ServiceLab) -> None:
    """AWS made it: a user cannot delete it."""
    ec2 = lab.ec2
    found = ec2.describe_vpc_endpoints(VpcEndpointIds=[lab.connect()])["VpcEndpoints"][0]
    code = code_of(ec2.delete_network_interface, NetworkInterfaceId=found["NetworkInterfaceIds"][0])
    assert code in {"OperationNotPermitted", "InvalidParameterValue"}


@pytest.mark.contract
def test_groups_hold_each_other(cloud: ContractCloud) -> None:
    """A group that a rule of another group names stays until the rule is revoked; the default group stays always."""
    ec2 = cloud.client("ec2")
    vpc, _ = network(ec2)
    one, two = add_group(ec2, vpc, "one"), add_group(ec2, vpc, "two")
    rule = [{"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "UserIdGroupPairs": [{"GroupId": one}]}]
    ec2.authorize_security_group_ingress(GroupId=two, IpPermissions=rule)
    assert code_of(ec2.delete_security_group, GroupId=one) == "DependencyViolation"
    ec2.revoke_security_group_ingress(GroupId=two, IpPermissions=rule)
    cloud.until(lambda: outcome(ec2.delete_security_group, GroupId=one), "")
    filters = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "group-name", "Values": ["default"]}]
    (default,) = ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
    assert code_of(ec2.delete_security_group, GroupId=default["GroupId"]) == "CannotDelete"
    assert code_of(ec2.delete_vpc, VpcId=vpc) == "DependencyViolation"


@pytest.mark.contract
def test_names_of_groups(cloud: ContractCloud) -> None:
    """Names are compared without case; sg- and default are reserved."""
    ec2 = cloud.client("ec2")
    vpc, _ = network(ec2)
    add_group(ec2, vpc, "web")
    asked = {"Description": "test", "VpcId": vpc}
    codes = [code_of(ec2.create_security_group, GroupName=name, **asked) for name in ("WEB", "sg-1", "default")]
    assert codes == ["InvalidGroup.Duplicate", "InvalidParameterValue", "InvalidGroup.Reserved"]


@pytest.mark.contract
def test_host_names_need_dns(cloud: ContractCloud) -> None:
    """A new VPC has DNS and no host names; without DNS there are none."""
    ec2 = cloud.client("ec2")
    vpc, _ = network(ec2)
    attribute = ec2.describe_vpc_attribute(VpcId=vpc, Attribute="enableDnsHostnames")
    assert attribute["EnableDnsHostnames"]["Value"] is False
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsSupport={"Value": False})
    names = {"Value": True}
    assert code_of(ec2.modify_vpc_attribute, VpcId=vpc, EnableDnsHostnames=names).startswith("InvalidParameter")


@pytest.mark.contract(moto_too=True)
def test_what_is_not_there_and_what_does_not_fit(cloud: ContractCloud) -> None:
    """Every kind has its own .NotFound code; a subnet must be inside its VPC and may not overlap another."""
    ec2 = cloud.client("ec2")
    vpc, _ = network(ec2)
    assert code_of(ec2.delete_vpc, VpcId=f"vpc-{UNKNOWN}") == "InvalidVpcID.NotFound"
    assert code_of(ec2.delete_subnet, SubnetId=f"subnet-{UNKNOWN}").startswith("InvalidSubnetI")
    assert code_of(ec2.delete_security_group, GroupId=f"sg-{UNKNOWN}") == "InvalidGroup.NotFound"
    assert code_of(ec2.create_subnet, VpcId=vpc, CidrBlock="10.9.0.0/24") == "InvalidSubnet.Range"
    assert code_of(ec2.create_subnet, VpcId=vpc, CidrBlock="10.0.0.0/25") == "InvalidSubnet.Conflict"
    assert code_of(ec2.delete_vpc, VpcId=vpc) == "DependencyViolation"


@pytest.mark.contract(moto_too=True)
def test_a_rule_that_is_there_and_one_that_is_not(cloud: ContractCloud) -> None:
    """InvalidPermission.Duplicate and InvalidPermission.NotFound."""
    ec2 = cloud.client("ec2")
    group = add_group(ec2, network(ec2)[0])
    rule = [{"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": "10.0.0.0/24"}]}]
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=rule)
    asked = {"GroupId": group, "IpPermissions": rule}
    assert code_of(ec2.authorize_security_group_ingress, **asked) == "InvalidPermission.Duplicate"
    ec2.revoke_security_group_ingress(**asked)
    assert code_of(ec2.revoke_security_group_ingress, **asked) == "InvalidPermission.NotFound"
