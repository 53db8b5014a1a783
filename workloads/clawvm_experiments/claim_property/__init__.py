"""The claim as a property: generated workloads, an independent referee, shrinking, proof that the check can fail."""
