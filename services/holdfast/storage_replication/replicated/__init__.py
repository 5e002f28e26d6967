"""The service's side of replicated volumes: records, data paths, orders, requests, reports."""
