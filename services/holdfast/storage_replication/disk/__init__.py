"""What a member keeps on disk beside the data."""
