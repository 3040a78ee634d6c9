"""The model zoo: names, sources, hashes, licences, download and cache."""
