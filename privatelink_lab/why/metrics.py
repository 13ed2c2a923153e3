"""CloudWatch's metrics of an endpoint service: what the provider sees of a customer whose half it cannot describe.

Names and dimensions: https://docs.aws.amazon.com/vpc/latest/privatelink/privatelink-cloudwatch-metrics.html. CloudWatch
has no number for an hour without traffic, nor for customers of another Region.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from privatelink_lab.aws import Account
from privatelink_lab.iam_actions import calls
from privatelink_lab.kind import Row

NEW_CONNECTIONS, RESETS, NO_PORT = "NewConnections", "RstPacketsSent", "PortAllocationErrorCount"
OF_SERVICES, OF_BALANCERS = "AWS/PrivateLinkServices", "AWS/NetworkELB"
PERIOD = timedelta(hours=1)
MOST_QUERIES = 500  # of one call


@calls("cloudwatch:GetMetricData")
def fetch(account: Account, service: str, endpoints: Iterable[str], balancers: Iterable[str]) -> list[Row]:
    """The sums of the last hour: connections and resets by endpoint, lack of ports by balancer; raises AwsError."""
    rows: list[Row] = [
        {"Name": name, "VpcEndpointId": endpoint} for endpoint in endpoints for name in (NEW_CONNECTIONS, RESETS)
    ]
    rows = [*({"Name": NO_PORT, "LoadBalancerArn": arn} for arn in balancers), *rows][:MOST_QUERIES]
    end = account.now()
    answers = account.pages(
        "cloudwatch",
        "get_metric_data",
        "MetricDataResults",
        MetricDataQueries=[_query(number, row, service) for number, row in enumerate(rows)],
        StartTime=end - PERIOD,
        EndTime=end,
    )
    sums: dict[str, float] = {}
    for answer in answers:
        sums[answer["Id"]] = sums.get(answer["Id"], 0) + sum(answer.get("Values") or ())
    return [row | {"Sum": sums[f"m{number}"]} for number, row in enumerate(rows) if f"m{number}" in sums]


def _query(number: int, row: Row, service: str) -> dict[str, Any]:
    if arn := row.get("LoadBalancerArn"):
        space, names = OF_BALANCERS, {"LoadBalancer": arn.partition(":loadbalancer/")[2]}
    else:
        space, names = OF_SERVICES, {"Service Id": service, "VPC Endpoint Id": row["VpcEndpointId"]}
    dimensions = [{"Name": name, "Value": value} for name, value in names.items()]
    metric = {"Namespace": space, "MetricName": row["Name"], "Dimensions": dimensions}
    seconds = int(PERIOD.total_seconds())
    return {"Id": f"m{number}", "MetricStat": {"Metric": metric, "Period": seconds, "Stat": "Sum"}}
