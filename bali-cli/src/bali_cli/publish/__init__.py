"""`bali publish`: put the contract of a service into the repo of protos."""
