#!/bin/sh
# The same lab as a shell script of AWS CLI calls: awscli.sh up|down STATE SPEED.
# `aws ... wait` pauses 15 or 5 seconds at every speed of the clock; `retry` replaces it, with a pause that is divided by SPEED.
set -eu

command=$1 state=./$2 speed=$3
aws=${AWS:-aws}
pause=$(awk "BEGIN { print 15 / ($speed ? $speed : 1000) }")
export AWS_PAGER='' AWS_DEFAULT_OUTPUT=text

retry() { # until a command succeeds
    until "$@"; do sleep "$pause"; done
}
prints() { # prints WORD COMMAND...
    word=$1
    shift
    [ "$("$@" 2>/dev/null || echo none)" = "$word" ]
}
succeeds() { "$@" >/dev/null 2>&1; }
save() { echo "$1=$2" >>"$state"; }

network() { # network PARTY CIDR
    vpc=$($aws ec2 create-vpc --cidr-block "$2/16" --query Vpc.VpcId)
    save "$1_vpc" "$vpc"
    retry prints available $aws ec2 describe-vpcs --vpc-ids "$vpc" --query 'Vpcs[0].State'
    subnet=$($aws ec2 create-subnet --vpc-id "$vpc" --cidr-block "$2/24" --availability-zone "$zone" --query Subnet.SubnetId)
    save "$1_subnet" "$subnet"
    retry prints available $aws ec2 describe-subnets --subnet-ids "$subnet" --query 'Subnets[0].State'
    group=$($aws ec2 create-security-group --group-name "awscli-$1" --description "$1" --vpc-id "$vpc" --query GroupId)
    save "$1_group" "$group"
    retry succeeds $aws ec2 authorize-security-group-ingress --group-id "$group" --protocol tcp --port 80 --cidr "$2/16"
}

connection() {
    $aws ec2 describe-vpc-endpoint-connections --filters "Name=service-id,Values=$service" \
        --query "VpcEndpointConnections[?VpcEndpointId=='$endpoint'].VpcEndpointState"
}

up() {
    zone=$($aws ec2 describe-availability-zones --query 'AvailabilityZones[0].ZoneName')
    network provider 10.0.0.0
    provider_vpc=$vpc provider_subnet=$subnet provider_group=$group
    network consumer 10.1.0.0
    image=$($aws ssm get-parameter --query Parameter.Value \
        --name /aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64)
    instance=$($aws ec2 run-instances --image-id "$image" --instance-type t3.micro --subnet-id "$provider_subnet" \
        --security-group-ids "$provider_group" --query 'Instances[0].InstanceId' \
        --user-data 'file:///dev/stdin' <<END
#!/bin/sh
mkdir -p /srv/www
systemd-run python3 -m http.server 80 --directory /srv/www
END
    )
    save instance "$instance"
    retry prints running $aws ec2 describe-instances --instance-ids "$instance" \
        --query 'Reservations[0].Instances[0].State.Name'
    targets=$($aws elbv2 create-target-group --name awscli --protocol TCP --port 80 --vpc-id "$provider_vpc" \
        --health-check-interval-seconds 5 --health-check-timeout-seconds 2 --healthy-threshold-count 2 --unhealthy-threshold-count 2 \
        --query 'TargetGroups[0].TargetGroupArn')
    save targets "$targets"
    retry succeeds $aws elbv2 register-targets --target-group-arn "$targets" --targets "Id=$instance"
    balancer=$($aws elbv2 create-load-balancer --name awscli --type network --scheme internal \
        --subnets "$provider_subnet" --query 'LoadBalancers[0].LoadBalancerArn')
    save balancer "$balancer"
    retry prints active $aws elbv2 describe-load-balancers --load-balancer-arns "$balancer" \
        --query 'LoadBalancers[0].State.Code'
    $aws elbv2 modify-load-balancer-attributes --load-balancer-arn "$balancer" \
        --attributes Key=load_balancing.cross_zone.enabled,Value=true >/dev/null
    $aws elbv2 create-listener --load-balancer-arn "$balancer" --protocol TCP --port 80 \
        --default-actions "Type=forward,TargetGroupArn=$targets" >/dev/null
    retry prints healthy $aws elbv2 describe-target-health --target-group-arn "$targets" \
        --query 'TargetHealthDescriptions[0].TargetHealth.State'
    service=$($aws ec2 create-vpc-endpoint-service-configuration --acceptance-required \
        --network-load-balancer-arns "$balancer" --query ServiceConfiguration.ServiceId)
    save service "$service"
    name=$($aws ec2 describe-vpc-endpoint-service-configurations --service-ids "$service" \
        --query 'ServiceConfigurations[0].ServiceName' || echo "com.amazonaws.vpce.$AWS_DEFAULT_REGION.$service")
    retry create_endpoint
    retry prints pendingAcceptance connection
    $aws ec2 accept-vpc-endpoint-connections --service-id "$service" --vpc-endpoint-ids "$endpoint" >/dev/null
    retry prints available connection
}

create_endpoint() {
    endpoint=$($aws ec2 create-vpc-endpoint --vpc-endpoint-type Interface --service-name "$name" --vpc-id "$vpc" \
        --subnet-ids "$subnet" --security-group-ids "$group" --query VpcEndpoint.VpcEndpointId 2>/dev/null) || return 1
    save endpoint "$endpoint"
}

down() {
    . "$state"
    $aws ec2 delete-vpc-endpoints --vpc-endpoint-ids "$endpoint"
    retry is_deleted $aws ec2 describe-vpc-endpoints --vpc-endpoint-ids "$endpoint" --query 'VpcEndpoints[0].State'
    $aws ec2 delete-vpc-endpoint-service-configurations --service-ids "$service"
    retry succeeds $aws elbv2 delete-load-balancer --load-balancer-arn "$balancer"
    retry is_deleted $aws elbv2 describe-load-balancers --load-balancer-arns "$balancer" \
        --query 'LoadBalancers[0].State.Code'
    retry succeeds $aws elbv2 delete-target-group --target-group-arn "$targets"
    $aws ec2 terminate-instances --instance-ids "$instance" >/dev/null
    retry prints terminated $aws ec2 describe-instances --instance-ids "$instance" \
        --query 'Reservations[0].Instances[0].State.Name'
    for party in consumer provider; do
        eval "retry succeeds $aws ec2 delete-security-group --group-id \$${party}_group"
        eval "retry succeeds $aws ec2 delete-subnet --subnet-id \$${party}_subnet"
        eval "retry succeeds $aws ec2 delete-vpc --vpc-id \$${party}_vpc"
    done
    rm "$state"
}

is_deleted() {
    case $("$@" 2>/dev/null || echo deleted) in deleted) ;; *) return 1 ;; esac
}

"$command"
