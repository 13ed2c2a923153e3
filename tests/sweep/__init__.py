"""plab under attack: processes that are killed, interrupted or run at the same time, and an AWS that fails."""
