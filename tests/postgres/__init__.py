"""PostgreSQL on ext4 on a volume, whose host is killed under load."""
