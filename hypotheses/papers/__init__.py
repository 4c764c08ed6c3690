"""Papers whose claims can be tested; only the catalogue names them."""
