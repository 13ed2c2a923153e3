# A service whose owner works with Terraform, and leaves its customers to plab: no allowed principal stands here.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

data "aws_availability_zones" "available" {
  state = "available"
}

resource "aws_vpc" "mine" {
  cidr_block = "10.0.0.0/16"
}

resource "aws_subnet" "mine" {
  vpc_id               = aws_vpc.mine.id
  cidr_block           = "10.0.0.0/24"
  availability_zone_id = data.aws_availability_zones.available.zone_ids[0]
}

resource "aws_lb" "mine" {
  name               = "mine"
  load_balancer_type = "network"
  internal           = true
  subnets            = [aws_subnet.mine.id]
}

resource "aws_lb_target_group" "mine" {
  name     = "mine"
  port     = 80
  protocol = "TCP"
  vpc_id   = aws_vpc.mine.id
}

resource "aws_lb_listener" "mine" {
  load_balancer_arn = aws_lb.mine.arn
  port              = 80
  protocol          = "TCP"

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.mine.arn
  }
}

resource "aws_vpc_endpoint_service" "mine" {
  acceptance_required        = true
  network_load_balancer_arns = [aws_lb.mine.arn]
}

output "service" {
  value = aws_vpc_endpoint_service.mine.id
}
