"""What is forgotten here when a customer asks to be forgotten, or a day later at the latest."""

from app.idempotency import store
from app.ids import CustomerId
from app.resources import Resources


async def erase_answers(resources: Resources, customer_id: CustomerId) -> None:
    """Erase the kept answers to this customer's requests. A request that is being served stays claimed."""
    async with resources.engine.begin() as connection:
        await store.erase_answers(connection, customer_id)
