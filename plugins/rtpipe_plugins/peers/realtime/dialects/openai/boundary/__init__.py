"""The boundary: where what a server sends is decoded and checked, once. For this dialect."""
