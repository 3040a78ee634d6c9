"""A run over the items of a dataset, from the list to the table of results."""
