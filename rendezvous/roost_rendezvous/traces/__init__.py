"""Traces put together: ring in memory, store on disk, pictures and exports. What a component tells is `tracing`."""
