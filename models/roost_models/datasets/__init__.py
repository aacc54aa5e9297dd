"""Datasets: versions of labelled pictures with lineage, and a test split that is frozen."""
