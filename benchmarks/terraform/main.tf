# The same lab for Terraform: a provider and one consumer in its account.

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

provider "aws" {}

data "aws_availability_zones" "available" {
  state = "available"
}

data "aws_ssm_parameter" "image" {
  name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
}

locals {
  cidrs = { provider = "10.0.0.0", consumer = "10.1.0.0" }
}

resource "aws_vpc" "party" {
  for_each   = local.cidrs
  cidr_block = "${each.value}/16"
}

resource "aws_subnet" "party" {
  for_each          = local.cidrs
  vpc_id            = aws_vpc.party[each.key].id
  cidr_block        = "${each.value}/24"
  availability_zone = data.aws_availability_zones.available.names[0]
}

resource "aws_security_group" "party" {
  for_each = local.cidrs
  name     = "terraform-${each.key}"
  vpc_id   = aws_vpc.party[each.key].id

  ingress {
    protocol    = "tcp"
    from_port   = 80
    to_port     = 80
    cidr_blocks = ["${each.value}/16"]
  }
}

resource "aws_instance" "web_server" {
  ami                    = data.aws_ssm_parameter.image.value
  instance_type          = "t3.micro"
  subnet_id              = aws_subnet.party["provider"].id
  vpc_security_group_ids = [aws_security_group.party["provider"].id]
  user_data              = <<-EOT
    #!/bin/sh
    mkdir -p /srv/www
    systemd-run python3 -m http.server 80 --directory /srv/www
  EOT
}

resource "aws_lb_target_group" "web_server" {
  name     = "terraform"
  port     = 80
  protocol = "TCP"
  vpc_id   = aws_vpc.party["provider"].id

  health_check {
    protocol            = "TCP"
    interval            = 5
    timeout             = 2
    healthy_threshold   = 2
    unhealthy_threshold = 2
  }
}

resource "aws_lb_target_group_attachment" "web_server" {
  target_group_arn = aws_lb_target_group.web_server.arn
  target_id        = aws_instance.web_server.id
}

resource "aws_lb" "service" {
  name                             = "terraform"
  load_balancer_type               = "network"
  internal                         = true
  subnets                          = [aws_subnet.party["provider"].id]
  enable_cross_zone_load_balancing = true
}

resource "aws_lb_listener" "service" {
  load_balancer_arn = aws_lb.service.arn
  port              = 80
  protocol          = "TCP"

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.web_server.arn
  }
}

resource "aws_vpc_endpoint_service" "service" {
  acceptance_required        = true
  network_load_balancer_arns = [aws_lb.service.arn]
}

resource "aws_vpc_endpoint" "consumer" {
  vpc_endpoint_type  = "Interface"
  service_name       = aws_vpc_endpoint_service.service.service_name
  vpc_id             = aws_vpc.party["consumer"].id
  subnet_ids         = [aws_subnet.party["consumer"].id]
  security_group_ids = [aws_security_group.party["consumer"].id]
}

resource "aws_vpc_endpoint_connection_accepter" "consumer" {
  vpc_endpoint_service_id = aws_vpc_endpoint_service.service.id
  vpc_endpoint_id         = aws_vpc_endpoint.consumer.id
}
