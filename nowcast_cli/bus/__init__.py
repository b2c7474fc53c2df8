"""The bus as programs beside the manager use it: performers, requests, subscriptions."""
