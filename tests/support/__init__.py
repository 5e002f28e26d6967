"""What several tests need: real nats-servers, real certificates, a real collector of traces."""
