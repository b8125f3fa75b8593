"""`paystate verify`: whether the promises have been kept, from what is stored and what is published."""

from service.verify.check import Check
from service.verify.report import Report, verify

__all__ = ["Check", "Report", "verify"]
