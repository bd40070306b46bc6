"""Pictures in and out: decoding, colour profiles, metadata, encoding."""
