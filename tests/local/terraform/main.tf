# The whole lab as a Terraform user would write it: a provider, and two consumers in two accounts.
# `plab local start` prints the environment that leads it to the local AWS; nothing here knows of that.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

variable "lab" {
  description = "Names and tags everything."
  type        = string
  default     = "terraform"
}

variable "consumer_role_arn" {
  description = "Who acts in the second consumer's account."
  type        = string
  default     = "arn:aws:iam::210987654321:role/consumer"
}

provider "aws" {
  default_tags {
    tags = { lab = var.lab }
  }
}

provider "aws" {
  alias = "other_account"
  assume_role {
    role_arn = var.consumer_role_arn
  }
  default_tags {
    tags = { lab = var.lab }
  }
}

data "aws_caller_identity" "other_account" {
  provider = aws.other_account
}

data "aws_availability_zones" "available" {
  state = "available"
}

data "aws_ssm_parameter" "image" {
  name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
}

locals {
  zone = data.aws_availability_zones.available.zone_ids[0] # a name means another zone in another account
  port = 80
}

# --- the provider ---

resource "aws_vpc" "provider" {
  cidr_block = "10.0.0.0/16"
  tags       = { Name = "${var.lab}-provider" }
}

resource "aws_subnet" "provider" {
  vpc_id            = aws_vpc.provider.id
  cidr_block        = "10.0.0.0/24"
  availability_zone_id = local.zone
  tags              = { Name = "${var.lab}-provider" }
}

resource "aws_security_group" "web_server" {
  name        = "${var.lab}-web-server"
  description = "The web server, from the balancer in its VPC"
  vpc_id      = aws_vpc.provider.id

  ingress {
    description = "the balancer"
    protocol    = "tcp"
    from_port   = local.port
    to_port     = local.port
    cidr_blocks = [aws_vpc.provider.cidr_block]
  }
}

resource "aws_instance" "web_server" {
  ami                         = data.aws_ssm_parameter.image.value
  instance_type               = "t3.micro"
  subnet_id                   = aws_subnet.provider.id
  vpc_security_group_ids      = [aws_security_group.web_server.id]
  associate_public_ip_address = false
  user_data                   = <<-EOT
    #!/bin/sh
    mkdir -p /srv/www && echo hello >/srv/www/index.html
    systemd-run python3 -m http.server ${local.port} --directory /srv/www
  EOT

  metadata_options {
    http_tokens = "required"
  }
  tags = { Name = "${var.lab}-web-server" }
}

resource "aws_lb_target_group" "web_server" {
  name     = "${var.lab}-web-server"
  port     = local.port
  protocol = "TCP"
  vpc_id   = aws_vpc.provider.id

  health_check {
    protocol            = "TCP"
    interval            = 10
    healthy_threshold   = 2
    unhealthy_threshold = 2
  }
}

resource "aws_lb_target_group_attachment" "web_server" {
  target_group_arn = aws_lb_target_group.web_server.arn
  target_id        = aws_instance.web_server.id
}

resource "aws_lb" "service" {
  name                             = "${var.lab}-service"
  load_balancer_type               = "network"
  internal                         = true
  subnets                          = [aws_subnet.provider.id]
  enable_cross_zone_load_balancing = true
}

resource "aws_lb_listener" "service" {
  load_balancer_arn = aws_lb.service.arn
  port              = local.port
  protocol          = "TCP"

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.web_server.arn
  }
}

resource "aws_vpc_endpoint_service" "service" {
  acceptance_required        = true
  network_load_balancer_arns = [aws_lb.service.arn]
  tags                       = { Name = "${var.lab}-service" }
}

resource "aws_vpc_endpoint_service_allowed_principal" "other_account" {
  vpc_endpoint_service_id = aws_vpc_endpoint_service.service.id
  principal_arn           = "arn:aws:iam::${data.aws_caller_identity.other_account.account_id}:root"
}

# --- a consumer in the provider's own account ---

resource "aws_vpc" "same_account" {
  cidr_block = "10.1.0.0/16"
  tags       = { Name = "${var.lab}-same-account" }
}

resource "aws_subnet" "same_account" {
  vpc_id            = aws_vpc.same_account.id
  cidr_block        = "10.1.0.0/24"
  availability_zone_id = local.zone
}

resource "aws_security_group" "same_account" {
  name        = "${var.lab}-endpoint"
  description = "The endpoint, from its VPC"
  vpc_id      = aws_vpc.same_account.id

  ingress {
    protocol    = "tcp"
    from_port   = local.port
    to_port     = local.port
    cidr_blocks = [aws_vpc.same_account.cidr_block]
  }
}

resource "aws_vpc_endpoint" "same_account" {
  vpc_endpoint_type  = "Interface"
  service_name       = aws_vpc_endpoint_service.service.service_name
  vpc_id             = aws_vpc.same_account.id
  subnet_ids         = [aws_subnet.same_account.id]
  security_group_ids = [aws_security_group.same_account.id]
  tags               = { Name = "${var.lab}-same-account" }
}

resource "aws_vpc_endpoint_connection_accepter" "same_account" {
  vpc_endpoint_service_id = aws_vpc_endpoint_service.service.id
  vpc_endpoint_id         = aws_vpc_endpoint.same_account.id
}

# --- a consumer in another account; its addresses may overlap with anybody's ---

resource "aws_vpc" "other_account" {
  provider   = aws.other_account
  cidr_block = "10.0.0.0/16"
  tags       = { Name = "${var.lab}-other-account" }
}

resource "aws_subnet" "other_account" {
  provider          = aws.other_account
  vpc_id            = aws_vpc.other_account.id
  cidr_block        = "10.0.0.0/24"
  availability_zone_id = local.zone
}

resource "aws_security_group" "other_account" {
  provider    = aws.other_account
  name        = "${var.lab}-endpoint"
  description = "The endpoint, from its VPC"
  vpc_id      = aws_vpc.other_account.id

  ingress {
    protocol    = "tcp"
    from_port   = local.port
    to_port     = local.port
    cidr_blocks = [aws_vpc.other_account.cidr_block]
  }
}

resource "aws_vpc_endpoint" "other_account" {
  provider           = aws.other_account
  vpc_endpoint_type  = "Interface"
  service_name       = aws_vpc_endpoint_service.service.service_name
  vpc_id             = aws_vpc.other_account.id
  subnet_ids         = [aws_subnet.other_account.id]
  security_group_ids = [aws_security_group.other_account.id]
  tags               = { Name = "${var.lab}-other-account" }

  depends_on = [aws_vpc_endpoint_service_allowed_principal.other_account]
}

resource "aws_vpc_endpoint_connection_accepter" "other_account" {
  vpc_endpoint_service_id = aws_vpc_endpoint_service.service.id
  vpc_endpoint_id         = aws_vpc_endpoint.other_account.id
}

output "service_name" {
  description = "What a consumer asks for."
  value       = aws_vpc_endpoint_service.service.service_name
}

output "service_id" {
  description = "What the provider asks about."
  value       = aws_vpc_endpoint_service.service.id
}

output "endpoint_dns_names" {
  description = "Where the service answers in each consumer's VPC."
  value = {
    same_account  = aws_vpc_endpoint.same_account.dns_entry[0].dns_name
    other_account = aws_vpc_endpoint.other_account.dns_entry[0].dns_name
  }
}
