"""How the embedded models were made: corpus and tokenizer (`build`), then training (`train`)."""
