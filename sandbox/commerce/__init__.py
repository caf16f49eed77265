"""The business rules behind the API: checkout, states of orders and refunds, payments, documents."""
