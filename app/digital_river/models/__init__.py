"""Tolerant models of what Digital River sends: additions at Digital River must never break the portal."""

from app.digital_river.models.customers import (
    Customer,
    CustomerChanges,
    NewTaxCertificate,
    TaxApplicability,
    TaxCertificate,
    TaxIdentifier,
)
from app.digital_river.models.delivery import (
    Fulfillment,
    FulfillmentItem,
    Shipment,
    Tracking,
    TrackingEntry,
)
from app.digital_river.models.events import Event
from app.digital_river.models.files import File, FileLink
from app.digital_river.models.orders import (
    LineTax,
    Order,
    OrderItem,
    PdfReference,
    ProductDetails,
    SellingEntity,
    ShippingChoice,
)
from app.digital_river.models.parties import AdditionalAddressInfo, Address, Party, SourceOwner
from app.digital_river.models.payments import (
    Charge,
    ChargeOperation,
    OrderPayment,
    PaymentSession,
    Source,
    SourceDetails,
)
from app.digital_river.models.refunds import Refund, RefundItem, TokenInformation
from app.digital_river.models.tolerant_model import DigitalRiverModel, Listing, Resource

__all__ = [
    "AdditionalAddressInfo",
    "Address",
    "Charge",
    "ChargeOperation",
    "Customer",
    "CustomerChanges",
    "DigitalRiverModel",
    "Event",
    "File",
    "FileLink",
    "Fulfillment",
    "FulfillmentItem",
    "LineTax",
    "Listing",
    "NewTaxCertificate",
    "Order",
    "OrderItem",
    "OrderPayment",
    "Party",
    "PaymentSession",
    "PdfReference",
    "ProductDetails",
    "Refund",
    "RefundItem",
    "Resource",
    "SellingEntity",
    "Shipment",
    "ShippingChoice",
    "Source",
    "SourceDetails",
    "SourceOwner",
    "TaxApplicability",
    "TaxCertificate",
    "TaxIdentifier",
    "TokenInformation",
    "Tracking",
    "TrackingEntry",
]
