"""Decoders of file formats."""
