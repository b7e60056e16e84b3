"""Files on disk: reading, atomic writing, contact sheets, provenance."""
