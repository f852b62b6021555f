"""The making of fresh music: jobs, policy, connection, polling, fetching. For generator_loop, screen and above."""
