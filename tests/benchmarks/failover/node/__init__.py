"""What a node runs: its first process, its fence agent, its OCF agent."""
