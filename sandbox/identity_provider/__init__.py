"""A local OpenID Connect provider: issues tokens and publishes its keys."""
