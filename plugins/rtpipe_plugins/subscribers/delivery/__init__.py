"""Delivery to servers that may be away: for `webhook` and `mqtt`."""
