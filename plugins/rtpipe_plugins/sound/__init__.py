"""Arithmetic on samples, without input or output: for every stage."""
