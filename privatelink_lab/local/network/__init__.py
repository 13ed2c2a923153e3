"""Real packets for the local AWS: every VPC is a network namespace, every instance is a set of processes in it.

The server sends a `plan` of the network to the agent, a process of its own. `agent_client` is the server's end:
it starts the agent and keeps what the agent reports. `agent_process` isolates the agent, `agent` carries out the plan.
"""
