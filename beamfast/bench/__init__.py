"""A load generator for one's own machine: what ``beamfast bench`` runs."""
