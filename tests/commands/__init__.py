"""What each command does, on the local AWS."""
