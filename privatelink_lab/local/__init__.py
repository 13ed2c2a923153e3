"""The local AWS: moto behind an authenticated server on 127.0.0.1, with PrivateLink and time added.

This is the only folder that imports moto. The commands call `launch` and `control_client`, which
import neither moto nor anything else that is slow. A room per AWS service: `ec2`, `elbv2`, `privatelink`;
`api` is what they share, `server` the path of a request, `traffic` and `network` the packets.
"""
