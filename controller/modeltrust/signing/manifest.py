"""The OMS statement, parsed strictly."""
