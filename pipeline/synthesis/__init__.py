"""Second stage: an entry of the bank and a photograph become a picture."""
