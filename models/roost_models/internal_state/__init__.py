"""What a model knows from earlier requests: kept, saved, rolled forward, rebuilt (ch. 3, "Stateful Models")."""
