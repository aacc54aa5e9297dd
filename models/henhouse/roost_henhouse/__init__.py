"""The first application: a nest box in a henhouse, rendered, learnt and recognised."""
