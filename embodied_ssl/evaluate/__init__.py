"""How good is the representation: probes, nulls, forward skill and returns, by one protocol for every claim."""
